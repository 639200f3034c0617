import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Scale, scale, spansDecades } from "../../lib/report/scales.js";

const labels = ({ ticks, format }: Scale) => ticks.map(format);

describe("whether an axis is logarithmic", () => {
  it.each([
    [[1, 100], true],
    [[1, 99], false],
    [[0, 1000], false],
    [[-1, 1000], false],
    [[1e-6, 1, NaN, Infinity], true],
    [[], false],
  ])("%j: %s", (values, log) => {
    expect(spansDecades(values)).toBe(log);
    expect(scale(values).type).toBe(log ? "log" : "linear");
  });
});

describe("ticks", () => {
  it("are round, with the decimals they need", () => {
    expect(labels(scale([0, 0.003], { zero: true, count: 3 }))).toEqual(["0", "0.002"]);
    expect(labels(scale([0, 0.003], { zero: true, count: 4 }))).toEqual(["0", "0.001", "0.002", "0.003"]);
    expect(labels(scale([2.95, 5.6]))).toEqual(["3.0", "3.5", "4.0", "4.5", "5.0", "5.5"]);
    expect(labels(scale([-2, 2]))).toEqual(["−2", "−1", "0", "1", "2"]);
    expect(labels(scale([0, 2e-7], { zero: true }))[1]).toBe("5·10⁻⁸");
  });
  it("are whole numbers where asked", () => {
    expect(scale([1, 4], { whole: true, tight: true }).ticks).toEqual([1, 2, 3, 4]);
    expect(scale([1, 1], { whole: true, tight: true }).ticks).toEqual([0, 1, 2]);
  });
  it("are powers of ten over decades, and all of one kind", () => {
    expect(labels(scale([2, 3000], { log: true }))).toEqual(["10", "100", "1,000"]);
    expect(labels(scale([2, 3e6], { log: true }))).toEqual(["10⁰", "10²", "10⁴", "10⁶"]);
    expect(labels(scale([9, 150], { log: true }))).toEqual(["10", "20", "50", "100"]);
  });
});

it("any values lie on their scale, and its ticks do", () => {
  const value = fc.oneof(fc.double(), fc.double({ min: 0.9, max: 1.1, noNaN: true }), fc.constant(0));
  const options = fc.record(
    { log: fc.boolean(), zero: fc.boolean(), whole: fc.boolean(), tight: fc.boolean() },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(value, { maxLength: 5 }), options, (values, chosen) => {
      const { type, domain, ticks, minor, format } = scale(values, chosen);
      expect(domain.every(Number.isFinite)).toBe(true);
      expect(domain[0]).toBeLessThan(domain[1]);
      if (type === "log") expect(domain[0]).toBeGreaterThan(0);
      const drawn = values.filter((v) => Math.abs(v) < 1e280 && (type === "linear" || v > 1e-280));
      // Ticks are rounded to 12 digits.
      const slack = 1e-11 * Math.max(...domain.map(Math.abs));
      for (const v of [...drawn, ...ticks, ...minor]) {
        expect(v).toBeGreaterThanOrEqual(domain[0] - slack);
        expect(v).toBeLessThanOrEqual(domain[1] + slack);
      }
      expect(ticks.length).toBeLessThan(20);
      expect(new Set(ticks.map(format)).size).toBe(ticks.length);
    }),
    { numRuns: 2000 },
  );
});
