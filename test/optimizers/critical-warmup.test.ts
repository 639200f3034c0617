import { describe, expect, it } from "vitest";
import { CriticalWarmup } from "../../lib/index.js";

const crossing = (criticalLearningRate: number) => ({ status: "converged", criticalLearningRate });

describe("the learning rate that measured critical ones allow", () => {
  it("is any before the first, and then a fraction of it", () => {
    const warmup = new CriticalWarmup({ fraction: 0.5 });
    expect(warmup.current).toBe(Infinity);
    expect(warmup.limit(crossing(0.2))).toBe(0.1);
  });

  it("falls at once and rises as a mean of logarithms", () => {
    const warmup = new CriticalWarmup({ fraction: 1, smoothing: 0.75 });
    warmup.limit(crossing(1));
    expect(warmup.limit(crossing(0.01))).toBe(0.01);
    expect(warmup.limit(crossing(0.16))).toBeCloseTo(0.01 * 16 ** 0.25, 12);
    expect(new CriticalWarmup({ fraction: 1, smoothing: 0 }).limit(crossing(3))).toBe(3);
  });

  it("stays where it is where nothing was found", () => {
    const warmup = new CriticalWarmup();
    warmup.limit(crossing(0.2));
    for (const [status, value] of [
      ["non-descent", 0],
      ["unbounded", Infinity],
      ["unresolved", NaN],
      ["unresolved", null],
    ] as const)
      expect(warmup.limit({ status, criticalLearningRate: value })).toBe(0.1);
  });

  it("goes on from its state, and refuses what is none", () => {
    const warmup = new CriticalWarmup();
    warmup.limit(crossing(0.2));
    const other = new CriticalWarmup();
    other.restore(JSON.parse(JSON.stringify(warmup.state())));
    expect(other.current).toBe(warmup.current);
    for (const bad of [null, {}, { version: 2, critical: 1 }, { version: 1, critical: -1 }, { version: 1 }])
      expect(() => other.restore(bad as never)).toThrow(
        /Expected what a CriticalWarmup of this version gives/,
      );
    expect(() => new CriticalWarmup({ fraction: 0 })).toThrow(RangeError);
    expect(() => new CriticalWarmup({ smoothing: 1 })).toThrow(RangeError);
  });
});
