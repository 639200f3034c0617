import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ranges, thin } from "../../lib/report/series.js";
import { kernelMean, mean, median, type Point, running, windowFor } from "../../lib/statistics.js";

const series = (ys: readonly number[]): Point[] => ys.map((y, i) => ({ x: i + 1, y }));
const ys = (points: readonly Point[]) => points.map(({ y }) => y);

describe("statistics", () => {
  it("median and mean", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
    expect(mean([1, 2, 6])).toBe(3);
  });
  it("a straight line stays what it is when it is smoothed, its ends too", () => {
    const straight = series(Array.from({ length: 300 }, (_, i) => 5 - 0.01 * i));
    for (const statistic of [kernelMean, median]) {
      const smooth = running(straight, windowFor(300), statistic);
      smooth.forEach(({ y }, i) => {
        expect(y).toBeCloseTo(straight[i]?.y as number, 10);
      });
    }
  });
  it("values that are not finite are left out", () => {
    expect(ys(running(series([1, NaN, 3, Infinity, 5]), 3, median))).toEqual([1, 2, 3, 4, 5]);
  });
  it("very many points are smoothed at some of them, the last included", () => {
    const many = series(Array.from({ length: 100_000 }, () => 1));
    const smooth = running(many, windowFor(many.length), kernelMean);
    expect(smooth.length).toBeLessThan(1000);
    expect(smooth[0]?.x).toBe(1);
    expect(smooth.at(-1)?.x).toBe(100_000);
  });
});

describe("thinning", () => {
  it("keeps few points as they are", () => {
    const few = series([3, NaN, 1]);
    expect(thin(few)).toEqual(few);
  });
  it("keeps order and extremes of many", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true }), { minLength: 1601, maxLength: 5000 }), (values) => {
        const thinned = thin(series(values));
        expect(thinned.length).toBeLessThanOrEqual(1600);
        const finite = (all: number[]) => all.filter(Number.isFinite);
        expect(Math.min(...finite(ys(thinned)))).toBe(Math.min(...finite(values)));
        expect(Math.max(...finite(ys(thinned)))).toBe(Math.max(...finite(values)));
        expect(thinned.every(({ x }, i) => i === 0 || x > (thinned[i - 1] as Point).x)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
  it("a long gap stays a gap", () => {
    const gap = series(Array.from({ length: 4000 }, (_, i) => (i > 1000 && i < 2000 ? NaN : i)));
    expect(thin(gap).some(({ y }) => Number.isNaN(y))).toBe(true);
  });
  it("a band holds every point", () => {
    const values = Array.from({ length: 2000 }, (_, i) => Math.sin(i));
    for (const { low, high } of ranges(series(values), 100)) expect(low).toBeLessThan(high);
    expect(Math.max(...ranges(series(values), 100).map(({ high }) => high))).toBe(Math.max(...values));
  });
});
