import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  constantSchedule,
  cosineSchedule,
  warmupStableDecaySchedule,
} from "../../lib/optimizers/schedules.js";

const rates = (schedule: (step: number) => number, steps: number) =>
  Array.from({ length: steps }, (_, i) => schedule(i + 1));

describe("constant", () => {
  it("holds the learning rate", () => {
    expect(rates(constantSchedule({ learningRate: 0.3 }), 3)).toEqual([0.3, 0.3, 0.3]);
  });
  it("warms up linearly, from the first step on", () => {
    expect(rates(constantSchedule({ learningRate: 1, warmupSteps: 4 }), 6)).toEqual([
      0.25, 0.5, 0.75, 1, 1, 1,
    ]);
  });
});

describe("cosine", () => {
  it("follows the formula, and ends one step after the last", () => {
    const schedule = cosineSchedule({ learningRate: 2, steps: 6, warmupSteps: 2, finalLearningRate: 0.5 });
    const decay = (p: number) => 0.5 + (1.5 * (1 + Math.cos(Math.PI * p))) / 2;
    const known = [1, 2, decay(1 / 5), decay(2 / 5), decay(3 / 5), decay(4 / 5), 0.5, 0.5];
    for (const [i, rate] of rates(schedule, 8).entries()) expect(rate).toBeCloseTo(known[i] as number, 14);
  });
});

describe("warmup–stable–decay", () => {
  it("follows the formula for each decay", () => {
    const of = (decay?: "linear" | "cosine" | "sqrt") =>
      rates(
        warmupStableDecaySchedule({ learningRate: 1, warmupSteps: 2, stableSteps: 2, decaySteps: 3, decay }),
        8,
      );
    expect(of()).toEqual([0.5, 1, 1, 1, 0.75, 0.5, 0.25, 0]);
    expect(of("sqrt")[4]).toBeCloseTo(0.5, 14);
    expect(of("cosine")[5]).toBeCloseTo(0.5, 14);
  });
  it("is never above its peak, below its end or zero within the run, and falls only in the decay", () => {
    fc.assert(
      fc.property(
        fc.record({
          warmupSteps: fc.integer({ min: 0, max: 20 }),
          stableSteps: fc.integer({ min: 0, max: 20 }),
          decaySteps: fc.integer({ min: 0, max: 20 }),
          decay: fc.constantFrom("linear" as const, "cosine" as const, "sqrt" as const),
        }),
        fc.double({ min: 1e-6, max: 10, noNaN: true }),
        (shape, learningRate) => {
          const total = shape.warmupSteps + shape.stableSteps + shape.decaySteps;
          const all = rates(warmupStableDecaySchedule({ learningRate, ...shape }), total);
          for (const [i, rate] of all.entries()) {
            expect(rate).toBeGreaterThan(0);
            expect(rate).toBeLessThanOrEqual(learningRate);
            const before = all[i - 1] ?? 0;
            if (i < shape.warmupSteps + shape.stableSteps) expect(rate).toBeGreaterThanOrEqual(before);
            else if (i > 0) expect(rate).toBeLessThanOrEqual(before);
          }
        },
      ),
    );
  });
});

describe("misuse", () => {
  const wsd = { learningRate: 1, warmupSteps: 1, stableSteps: 1, decaySteps: 1 };
  it.each([
    [() => constantSchedule({ learningRate: -1 }), "options.learningRate", "ERR_OUT_OF_RANGE"],
    [() => constantSchedule({ learningRate: Number.NaN }), "options.learningRate", "ERR_OUT_OF_RANGE"],
    [() => constantSchedule({ learningRate: "1" as never }), "options.learningRate", "ERR_INVALID_ARG_TYPE"],
    [() => constantSchedule(null as never), "options", "ERR_INVALID_ARG_TYPE"],
    [
      () => constantSchedule({ learningRate: 1, warmupSteps: 1.5 }),
      "options.warmupSteps",
      "ERR_OUT_OF_RANGE",
    ],
    [() => constantSchedule({ learningRate: 1 })(0), "step", "ERR_OUT_OF_RANGE"],
    [() => constantSchedule({ learningRate: 1 })(1.5), "step", "ERR_OUT_OF_RANGE"],
    [
      () => cosineSchedule({ learningRate: 1, steps: 3, warmupSteps: 4 }),
      "options.steps",
      "ERR_OUT_OF_RANGE",
    ],
    [() => cosineSchedule({ learningRate: 1 } as never), "options.steps", "ERR_INVALID_ARG_TYPE"],
    [
      () => cosineSchedule({ learningRate: 1, steps: 3, finalLearningRate: 2 }),
      "options.finalLearningRate",
      "ERR_OUT_OF_RANGE",
    ],
    [() => warmupStableDecaySchedule({ ...wsd, decay: "log" as never }), "options.decay", "ERR_OUT_OF_RANGE"],
    [() => warmupStableDecaySchedule({ ...wsd, stableSteps: -1 }), "options.stableSteps", "ERR_OUT_OF_RANGE"],
    [
      () => warmupStableDecaySchedule({ ...wsd, decaySteps: Infinity }),
      "options.decaySteps",
      "ERR_OUT_OF_RANGE",
    ],
  ])("case %#", (make, subject, code) => {
    expect(make).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(` for ${subject} but received `) }),
    );
  });
});
