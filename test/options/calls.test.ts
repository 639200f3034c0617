import { describe, expect, it } from "vitest";
import * as z from "zod";
import { callback, instance, readOptions, signalSchema } from "../../lib/options/index.js";

const set = z.strictObject({
  count: z.int().min(1).max(9).default(3),
  tolerance: z.number().gt(0).lt(1).optional(),
  method: z.enum(["one", "two"]).default("one"),
  rates: z.array(z.number().gt(0)).min(1).optional(),
  byName: z.record(z.string(), z.number()).optional(),
  inner: z.strictObject({ flag: z.boolean() }).optional(),
  date: instance<Date>("a Date", (value) => value instanceof Date).optional(),
  signal: signalSchema.optional(),
  onStep: callback<() => void>().optional(),
  form: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("wide"), width: z.number().gt(0) }),
      z.strictObject({ type: z.literal("tall"), height: z.int().min(1) }),
    ])
    .optional(),
});

describe("the options of a call", () => {
  it("have their defaults, and objects and functions stay what they are", () => {
    const given = { date: new Date(), onStep: () => {}, signal: new AbortController().signal };
    expect(readOptions(set, undefined)).toEqual({ count: 3, method: "one" });
    const read = readOptions(set, given);
    for (const key of ["date", "onStep", "signal"] as const) expect(read[key]).toBe(given[key]);
  });

  it.each([
    [{ count: 0 }, RangeError, "Expected an integer ≥ 1 and ≤ 9 for options.count but received 0"],
    [{ count: 1.5 }, RangeError, "Expected an integer ≥ 1 and ≤ 9 for options.count but received 1.5"],
    [{ count: "2" }, TypeError, 'Expected an integer ≥ 1 and ≤ 9 for options.count but received "2"'],
    [{ count: null }, TypeError, "Expected an integer ≥ 1 and ≤ 9 for options.count but received null"],
    [{ tolerance: NaN }, RangeError, "Expected a number > 0 and < 1 for options.tolerance but received NaN"],
    [{ method: "three" }, RangeError, 'Expected "one" or "two" for options.method but received "three"'],
    [{ method: 1 }, TypeError, 'Expected "one" or "two" for options.method but received 1'],
    [{ rates: [] }, RangeError, "Expected at least 1 element for options.rates but received []"],
    [{ rates: [1, -2] }, RangeError, "Expected a number > 0 for options.rates[1] but received -2"],
    [{ byName: { a: "b" } }, TypeError, 'Expected a finite number for options.byName.a but received "b"'],
    [{ inner: { flag: 1 } }, TypeError, "Expected true or false for options.inner.flag but received 1"],
    [{ inner: {} }, TypeError, "Expected true or false for options.inner.flag but received undefined"],
    [{ date: {} }, TypeError, "Expected a Date for options.date but received an instance of Object"],
    [
      { signal: {} },
      TypeError,
      "Expected an AbortSignal for options.signal but received an instance of Object",
    ],
    [{ onStep: 3 }, TypeError, "Expected a function for options.onStep but received 3"],
    [
      { inner: { flg: true, flag: true } },
      RangeError,
      'Expected one of flag for the name of an option but received "flg"',
    ],
    [
      { form: { type: "flat" } },
      RangeError,
      'Expected "wide" or "tall" for options.form.type but received "flat"',
    ],
    [{ form: {} }, TypeError, 'Expected "wide" or "tall" for options.form.type but received undefined'],
    [
      { form: { type: "tall", height: 0 } },
      RangeError,
      "Expected an integer ≥ 1 for options.form.height but received 0",
    ],
    [
      { form: { type: "wide", width: 1, height: 2 } },
      RangeError,
      'Expected one of type, width for the name of an option but received "height"',
    ],
    [3, TypeError, "Expected an object for options but received 3"],
    [null, TypeError, "Expected an object for options but received null"],
  ])("%j is one error that names the place", (given, type, message) => {
    let error: unknown;
    try {
      readOptions(set, given);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toBe(message);
  });
});
