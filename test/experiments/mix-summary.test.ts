import { describe, expect, it } from "vitest";
import { random } from "../../lib/data/index.js";
import { summarizeMix } from "../../lib/experiments/index.js";
import type { Measured } from "../../lib/experiments/mix/mix-estimate.js";

/** A line −sη + κη²/2 as a measurement. */
const line = (slope: number, curvature: number): Measured["measurement"] => ({
  status: slope <= 0 ? "non-descent" : curvature === 0 ? "unbounded" : "converged",
  slope,
  criticalSharpness: slope <= 0 ? null : curvature / slope,
});
const ratios = [0, 0.25, 0.5, 0.75, 1];

/** Two tasks: one likes high ratios, the other low ones; `noise` on every slope, shared within a repeat. */
function measured(repeats: number, noise: number, seed = 1, offset = 0.1): Measured[] {
  const generator = random("test", seed);
  return Array.from({ length: repeats }, (_, repeat) => {
    const shift = { old: noise * generator.normal(), new: noise * generator.normal() };
    return ratios.flatMap((ratio) => [
      { repeat, ratio, task: "old", measurement: line(ratio + offset + shift.old, 2) },
      { repeat, ratio, task: "new", measurement: line(1 - ratio + offset + shift.new, 2) },
    ]);
  }).flat();
}

describe("the summary of a sweep", () => {
  it("pools repeats as the mean loss does: non-descending ones count with their slope", () => {
    const lines = [line(3, 2), line(-1, 7), line(1, 4)];
    const { points } = summarizeMix(
      lines.map((measurement, repeat) => ({ repeat, ratio: 0, task: "a", measurement })),
    );
    // Curvature 3 over the two that descend, slope 1 over all three.
    expect(points[0]).toMatchObject({
      criticalSharpness: 3,
      criticalLearningRate: 2 / 3,
      status: "converged",
    });
    expect(points[0]).toMatchObject({ count: 3, nonDescent: 1, unbounded: 0 });
    const of = (slopes: [number, number][]) =>
      summarizeMix(slopes.map(([s, k], repeat) => ({ repeat, ratio: 0, task: "a", measurement: line(s, k) })))
        .points[0];
    expect(
      of([
        [1, 2],
        [-3, 2],
      ]),
    ).toMatchObject({ criticalSharpness: Infinity, status: "non-descent" });
    expect(
      of([
        [1, 0],
        [2, 0],
      ]),
    ).toMatchObject({ criticalSharpness: 0, status: "unbounded" });
    expect(of([[0.4, 2]])).toMatchObject({ criticalSharpness: 5, interval: null });
  });

  it("counts what is unresolved apart: its slope is known, its curvature is not", () => {
    const unresolved = (slope: number | null) =>
      ({ status: "unresolved", criticalSharpness: null, slope }) as Measured["measurement"];
    const of = (measurements: Measured["measurement"][]) =>
      summarizeMix(measurements.map((measurement, repeat) => ({ repeat, ratio: 0, task: "a", measurement })));
    const { points, recommendation } = of([line(3, 2), unresolved(1), line(2, 4), unresolved(null)]);
    // Curvature 3 over the two that tell it, slope 2 over the three that do.
    expect(points[0]).toMatchObject({ criticalSharpness: 1.5, status: "converged", count: 4, unresolved: 2 });
    expect(recommendation).toMatchObject({ unresolved: 2, measurements: 4, ratio: 0 });
    expect(recommendation.sentence).toContain("2 of 4 measurements are below the rounding of the losses");
    const all = of([unresolved(1), unresolved(2), line(-1, 2)]);
    expect(all.points[0]).toMatchObject({ status: "unresolved", criticalSharpness: NaN, interval: null });
    expect(all.recommendation).toMatchObject({ ratio: null, decided: false, descends: null });
    expect(all.recommendation.sentence).toContain("unresolved");
    // A ratio with an unresolved task is neither the best nor excluded.
    const mixed = summarizeMix(
      Array.from({ length: 8 }, (_, repeat) =>
        [0, 0.5, 1].map((ratio) => ({
          repeat,
          ratio,
          task: "a",
          measurement: ratio === 1 ? unresolved(1) : line(ratio + 1 + repeat / 100, 2),
        })),
      ).flat(),
    ).recommendation;
    expect(mixed).toMatchObject({ ratio: 0.5, ratios: [0.5, 1], decided: true, unresolved: 8 });
  });

  it("recommends where the largest λc is smallest, with the crossing", () => {
    const { recommendation } = summarizeMix(measured(10, 0.01));
    expect(recommendation).toMatchObject({ ratio: 0.5, ratios: [0.5], decided: true, descends: true });
    expect(recommendation.criticalLearningRate).toBeCloseTo(0.6, 1);
    expect(recommendation.crossing?.ratio).toBeCloseTo(0.5, 1);
    expect(recommendation.pValues[2]).toEqual({ ratio: 0.5, pValue: 1 });
    for (const r of [0, 1, 3, 4]) expect(recommendation.pValues[r]?.pValue).toBeLessThan(0.01);
    expect(recommendation.sentence).toMatch(
      /^The largest common learning rate is at the ratio 0.5 \(every other one is significantly worse/,
    );
  });

  it("says that the data do not decide when they do not", () => {
    const noisy = summarizeMix(measured(8, 2, 5)).recommendation;
    expect(noisy.decided).toBe(false);
    expect(noisy.sentence).toMatch(/do not decide|nothing to recommend/);
    const never = summarizeMix(measured(8, 0.01, 1, -2)).recommendation;
    expect(never).toMatchObject({ ratio: null, decided: false, descends: false, criticalSharpness: null });
    expect(never.sentence).toMatch(/^No ratio .* lowers "old" and "new" \(95 %/);
    // "old" has slopes of nearly 0 everywhere: whether it descends is left open.
    const open = Array.from({ length: 8 }, (_, repeat) =>
      ratios.map((ratio) => ({ repeat, ratio, task: "old", measurement: line(repeat % 2 ? 0.9 : -1, 2) })),
    ).flat();
    const undecided = summarizeMix(open).recommendation;
    expect(undecided).toMatchObject({ ratio: null, decided: false, descends: null });
    expect(undecided.sentence).toMatch(/^The data do not decide: .* lowers "old", .* cannot be excluded/);
  });

  it.each([1, 2, 3, 4])("claims no confidence of %i repeats, however clear they are", (repeats) => {
    const { points, recommendation } = summarizeMix(measured(repeats, 0.001));
    expect(recommendation).toMatchObject({ ratio: 0.5, ratios, decided: false, descends: null });
    expect(recommendation.sentence).toMatch(/nothing with confidence: measure at least 5/);
    expect(recommendation.sentence).not.toContain("%");
    for (const { interval } of points) expect(interval).toBeNull();
  });

  it("decides of six repeats, not of five: there are too few signs", () => {
    expect(summarizeMix(measured(5, 0.001)).recommendation.decided).toBe(false);
    expect(summarizeMix(measured(6, 0.001)).recommendation.decided).toBe(true);
  });

  it("gives the same intervals for the same seed", () => {
    const data = measured(6, 0.2);
    expect(summarizeMix(data, 3)).toEqual(summarizeMix(data, 3));
    for (const { interval, criticalSharpness } of summarizeMix(data, 3).points) {
      expect(interval?.[0]).toBeLessThanOrEqual(criticalSharpness);
      expect(interval?.[1]).toBeGreaterThanOrEqual(criticalSharpness);
    }
  });

  it("has sets that contain the truth, and decides where it can", () => {
    let [covered, decided] = [0, 0];
    for (let seed = 0; seed < 100; seed++) {
      const { recommendation } = summarizeMix(measured(8, 0.2, seed));
      // Without noise it is at 0.5.
      if (recommendation.ratios.includes(0.5)) covered++;
      if (recommendation.decided) decided++;
    }
    expect(covered).toBeGreaterThanOrEqual(95);
    expect(decided).toBeGreaterThanOrEqual(80);
  });

  it("has intervals of points that contain the truth", () => {
    let [covered, all] = [0, 0];
    for (let seed = 0; seed < 200; seed++)
      for (const { ratio, task, interval } of summarizeMix(measured(8, 0.2, seed)).points) {
        const truth = 2 / ((task === "old" ? ratio : 1 - ratio) + 0.1);
        all++;
        if (interval && interval[0] <= truth && interval[1] >= truth) covered++;
      }
    // 400 independent draws of slopes: 3 standard errors about 95 %.
    expect(Math.abs(covered / all - 0.95)).toBeLessThan(0.033);
  });

  it("refuses repeats that are not whole", () => {
    expect(() => summarizeMix(measured(3, 0.1).slice(1))).toThrow("one measurement of each of 5 ratios");
  });
});

/** Noise over the ratios of one repeat, of mean 0. */
type Noise = (generator: ReturnType<typeof random>) => (ratio: number) => number;
const laws: Record<string, Noise> = {
  "independent, normal": (g) => () => g.normal(),
  "independent, skewed": (g) => () => -Math.log(1 - g.uniform()) - 1,
  "independent, with heavy tails": (g) => () =>
    g.normal() / Math.sqrt((g.normal() ** 2 + g.normal() ** 2 + g.normal() ** 2) / 3),
  "smooth, normal": (g) => {
    const [a, b, c] = [g.normal(), g.normal(), g.normal()];
    return (r) => a * r + b * (1 - r) + 2 * c * r * (1 - r);
  },
  "that of batches of both sources": (g) => {
    const [a, b] = [g.normal(), g.normal()];
    return (r) => Math.sqrt(r) * a + Math.sqrt(1 - r) * b;
  },
};

describe.each(Object.entries(laws))("where all ratios are as good and the noise is %s", (_, law) => {
  it.each([
    [8, 1],
    [30, 1],
    [8, 2],
  ])("%i repeats of %i tasks decide in at most 5 % of draws", (repeats, tasks) => {
    let decided = 0;
    for (let seed = 0; seed < 200; seed++) {
      const generator = random("equal ratios", seed);
      const data = Array.from({ length: repeats }, (_, repeat) =>
        Array.from({ length: tasks }, (_, t): Measured[] => {
          const [slope, curvature] = [law(generator), law(generator)];
          return ratios.map((ratio) => ({
            repeat,
            ratio,
            task: `task ${t}`,
            measurement: line(1 + slope(ratio), 2 * Math.exp(curvature(ratio) / 10)),
          }));
        }),
      ).flat(2);
      if (summarizeMix(data).recommendation.decided) decided++;
    }
    expect(decided).toBeLessThanOrEqual(10);
  });
});
