import { expect } from "vitest";
import { nativeErrorCode } from "../../lib/torch/errors.js";

import { native } from "../../lib/torch/load.js";
import type { NativeAddon } from "../../lib/torch/surface.js";

// biome-ignore lint/suspicious/noExplicitAny: what is passed here is wrong on purpose.
export type Wrong = any;

/** The addon, for calls that its types forbid. */
export const addon = (): Record<keyof NativeAddon, (...args: Wrong[]) => Wrong> => native() as Wrong;

/** Numbers that are no count. */
export const noCount: Wrong[] = [
  NaN,
  Infinity,
  -Infinity,
  -1,
  0.5,
  2 ** 60,
  "1",
  1n,
  null,
  undefined,
  {},
  [],
  Symbol("x"),
  true,
];
/** Values that are no object of ours. */
export const noHandle: Wrong[] = [undefined, null, 0, "x", {}, [], () => 1, Symbol("x"), 1n];

/** The call throws, or rejects with, an error of the addon: it has a known code and says what was expected. */
export async function expectRejected(what: string, call: () => unknown): Promise<void> {
  let error: Wrong;
  try {
    await call();
  } catch (e) {
    error = e;
  }
  expect(error, what).toBeInstanceOf(Error);
  expect(nativeErrorCode(error), `${what}: ${error.message}`).toBeDefined();
  expect(error.message, what).toMatch(/^Expected .+ but received[: ]/s);
}

/** The same for each of the values. */
export async function expectAllRejected(
  values: readonly Wrong[],
  call: (value: Wrong) => unknown,
): Promise<void> {
  for (const [i, value] of values.entries())
    await expectRejected(`value ${i} (${typeof value})`, () => call(value));
}
