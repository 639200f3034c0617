import { describe, expect, it } from "vitest";
import { random } from "../../lib/data/index.js";
import { summarizeMix } from "../../lib/experiments/index.js";
import type { Measured } from "../../lib/experiments/mix-estimate.js";

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

  it("recommends where the largest λc is smallest, with the crossing", () => {
    const { recommendation } = summarizeMix(measured(10, 0.01));
    expect(recommendation).toMatchObject({ ratio: 0.5, interval: [0.5, 0.5], decided: true });
    expect(recommendation.criticalLearningRate).toBeCloseTo(0.6, 1);
    expect(recommendation.crossing?.ratio).toBeCloseTo(0.5, 1);
    expect(recommendation.support[2]).toEqual({ ratio: 0.5, part: 1 });
    expect(recommendation.sentence).toMatch(
      /^The largest common learning rate is at the ratio 0.5 \(between/,
    );
  });

  it("says that the data do not decide when they do not", () => {
    const noisy = summarizeMix(measured(4, 2, 5)).recommendation;
    expect(noisy.decided).toBe(false);
    expect(noisy.sentence).toMatch(/do not decide|nothing to recommend/);
    const single = summarizeMix(measured(1, 0)).recommendation;
    expect(single).toMatchObject({ ratio: 0.5, interval: null, decided: false });
    expect(single.sentence).toContain("no interval");
    const never = summarizeMix(measured(5, 0.01, 1, -2)).recommendation;
    expect(never).toMatchObject({ ratio: null, interval: null, decided: false, criticalSharpness: null });
    expect(never.sentence).toMatch(/^No ratio .* lowers "old" and "new"/);
    // "old" has slopes of nearly 0 everywhere: whether it descends is left open.
    const open = Array.from({ length: 6 }, (_, repeat) =>
      ratios.map((ratio) => ({ repeat, ratio, task: "old", measurement: line(repeat % 2 ? 0.9 : -1, 2) })),
    ).flat();
    const undecided = summarizeMix(open).recommendation;
    expect(undecided).toMatchObject({ ratio: null, decided: false });
    expect(undecided.sentence).toMatch(
      /^The data do not decide: .* lowers "old", but in \d\d % of the resamples/,
    );
  });

  it("gives the same intervals for the same seed", () => {
    const data = measured(6, 0.2);
    expect(summarizeMix(data, 3)).toEqual(summarizeMix(data, 3));
    for (const { interval, criticalSharpness } of summarizeMix(data, 3).points) {
      expect(interval?.[0]).toBeLessThanOrEqual(criticalSharpness);
      expect(interval?.[1]).toBeGreaterThanOrEqual(criticalSharpness);
    }
  });

  it("covers what much more data say", () => {
    let covered = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { interval } = summarizeMix(measured(8, 0.3, seed)).recommendation;
      // Without noise it is at 0.5.
      if ((interval?.[0] ?? 1) <= 0.5 && (interval?.[1] ?? 0) >= 0.5) covered++;
    }
    expect(covered).toBeGreaterThanOrEqual(36);
  });
});
