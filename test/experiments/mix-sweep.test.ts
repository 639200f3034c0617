import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type MixSweepEvent,
  type MixSweepOptions,
  summarizeMix,
  sweepMix,
} from "../../lib/experiments/index.js";
import { Batch, createModel, type Direction, type Model } from "../../lib/models/index.js";
import { AdamW, Sgd } from "../../lib/optimizers/index.js";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { linearProblem } from "./linear-problem.js";

const features = 3;
const rows = 10;
const problem = linearProblem({ features, rows, batches: 24 });
const batches = problem.data.map(({ inputs, targets }) =>
  Batch.examples({ inputs, targets, shape: [targets.length] }),
);
/** Two sources and two tasks: 8 batches each of the first three, the tasks' own from the rest. */
const part = (first: number) => batches.slice(first, first + 8);
const update = { varied: part(0), rest: part(8) };
const evaluate = { near: batches.slice(16, 20), far: batches.slice(20, 24) };
const ratios = Array.from({ length: 11 }, (_, i) => i / 10);
let model: Model;
let weights: Float64Array;
let curved: Model;
beforeAll(async () => {
  const mlp = { model_type: "mlp", activation: "gelu", loss: "mse" } as const;
  model = await createModel({ ...mlp, layer_sizes: [features, 1] }, { dtype: "float64", seed: 3 });
  curved = await createModel({ ...mlp, layer_sizes: [features, 8, 1] }, { dtype: "float64", seed: 3 });
  weights = Float64Array.from([
    ...new Float64Array(await model.handle.read(0, 0, 8 * features)),
    ...new Float64Array(await model.handle.read(1, 0, 8)),
  ]);
});
afterAll(() => {
  for (const batch of batches) batch.dispose();
  model.dispose();
  curved.dispose();
});
const near = (value: number, tolerance = 1e-6) => ({
  asymmetricMatch: (other: unknown) =>
    other === value || Math.abs((other as number) - value) <= tolerance * Math.abs(value),
});
const run = (options: Partial<MixSweepOptions> = {}) =>
  sweepMix({
    model,
    update,
    evaluate,
    ratios,
    repeats: 2,
    optimizer: { type: "sgd" },
    tolerance: 1e-8,
    ...options,
  });

/** The first rows of the varied batch, and of the rest as many as are left, as one batch. */
function mixedRows(varied: number, rest: number, count: number) {
  const parts = [
    [problem.data[varied], count],
    [problem.data[rest], rows - count],
  ] as [(typeof problem.data)[number], number][];
  const join = (pick: (part: (typeof problem.data)[number], n: number) => Float64Array) =>
    Float64Array.from(parts.flatMap(([part, n]) => [...pick(part, n)]));
  return {
    inputs: join(({ inputs }, n) => inputs.subarray(0, n * features)),
    targets: join(({ targets }, n) => targets.subarray(0, n)),
  };
}

/** Rows of the varied source in the batch of a place: with each row its share is met to within one. */
function variedRows(ratio: number, place: number): number {
  const [before, after] = [place * rows, (place + 1) * rows].map((row) =>
    Math.ceil(ratio * row - 0.5 - 1e-9),
  );
  return (after as number) - (before as number);
}

/** λc of a task's batch along the gradient of the mixture's batch, both quadratics. */
function closedForm(ratio: number, [varied, rest, task]: readonly [number, number, number], place = 0) {
  const { inputs, targets } = mixedRows(varied, rest, variedRows(ratio, place));
  const delta = Array(features + 1).fill(0) as number[];
  for (const [i, target] of targets.entries()) {
    const x = [...inputs.subarray(i * features, (i + 1) * features), 1];
    const residual = problem.dot(weights, x) - target;
    for (const [k, value] of x.entries()) delta[k] = (delta[k] as number) + (2 / rows) * residual * value;
  }
  const own = problem.lossAndGradient(task, weights).gradient;
  const slope = problem.dot(own, delta);
  return { slope, sharpness: slope > 0 ? problem.curvature(task, delta) / slope : Infinity };
}

describe("two quadratics, where λc has a closed form", () => {
  it("every ratio, task and repeat; the weights stay", async () => {
    const before = await model.digest();
    const { measurements } = await run();
    expect(measurements).toHaveLength(2 * 2 * 11);
    for (const { repeat, ratio, task, measurement } of measurements) {
      const batch = (task === "near" ? 16 : 20) + repeat;
      const { slope, sharpness } = closedForm(ratio, [repeat, 8 + repeat, batch], repeat);
      expect(measurement.slope).toEqual(near(slope, 1e-9));
      expect(measurement.criticalSharpness).toEqual(near(sharpness));
      expect(measurement.status).toBe(sharpness === Infinity ? "non-descent" : "converged");
    }
    expect(await model.digest()).toBe(before);
  });

  it("the sweet spot and the crossing of both tasks, when each task is one of the sources", async () => {
    const fine = ratios;
    let met = 0;
    const both = (ratio: number, [a, b]: readonly [number, number]) =>
      [a, b].map((task) => closedForm(ratio, [a, b, task]).sharpness) as [number, number];
    const worstOf = (pair: readonly [number, number]) => fine.map((ratio) => Math.max(...both(ratio, pair)));
    /** Whether the largest curve changes beside its lowest point. */
    const changes = (pair: readonly [number, number]) => {
      const worst = worstOf(pair);
      const best = worst.indexOf(Math.min(...worst));
      const largest = fine.slice(Math.max(0, best - 1), best + 2).flatMap((ratio) => {
        const values = both(ratio, pair);
        return values.every(Number.isFinite) ? [values.indexOf(Math.max(...values))] : [];
      });
      return new Set(largest).size > 1;
    };
    const all = batches.flatMap((_, a) => batches.slice(a + 1).map((_, b) => [a, a + 1 + b] as const));
    const crossing = [...all.filter(changes).slice(0, 4), ...all.slice(0, 1)];
    expect(crossing.length).toBeGreaterThan(2);
    for (const [a, b] of crossing) {
      const pair = { a: [batches[a] as Batch], b: [batches[b] as Batch] };
      const { measurements } = await run({
        update: { varied: pair.a, rest: pair.b },
        evaluate: pair,
        ratios: fine,
        repeats: 1,
      });
      const { recommendation } = summarizeMix(measurements);
      const worst = worstOf([a, b]);
      const least = Math.min(...worst);
      expect(recommendation.criticalSharpness).toEqual(least === Infinity ? null : near(least));
      expect(recommendation.ratio).toBe(least === Infinity ? null : fine[worst.indexOf(least)]);
      // The crossing is where the closed form's ηc, linear between ratios, is the same.
      const rate = (r: number, task: 0 | 1) => 2 / (both(fine[r] as number, [a, b])[task] as number);
      const gaps = fine.map((_, r) => rate(r, 0) - rate(r, 1));
      const crossings = gaps.slice(1).flatMap((gap, r) => {
        const before = gaps[r] as number;
        return before * gap < 0 ? [((fine[r] as number) + (0.1 * before) / (before - gap)) as number] : [];
      });
      // It is told where it is beside the sweet spot: the largest curve may have its minimum elsewhere.
      if (!recommendation.crossing) continue;
      met++;
      const found = recommendation.crossing.ratio;
      expect(Math.min(...crossings.map((ratio) => Math.abs(ratio - found)))).toBeLessThan(1e-6);
    }
    expect(met).toBeGreaterThan(1);
  });
});

describe("one pass over the rows of each source serves every ratio", () => {
  it.each([
    ["AdamW", { type: "adamw", betas: [0.8, 0.9], epsilon: 1e-4, weightDecay: 0.1 }],
    ["SGD with momentum", { type: "sgd", momentum: 0.6, nesterov: true }],
  ] as const)("as an optimizer that is given the mixture's own batches: %s", async (_, optimizer) => {
    const accumulate = 4;
    const { measurements, costs } = await run({ model: curved, optimizer, accumulate, repeats: 2 });
    // Ratios in tenths cut ten rows into ten.
    for (const cost of costs)
      expect(cost).toMatchObject({ updateRows: 2 * 4 * rows, updatePasses: 2 * 4 * 10, evaluatePasses: 2 });
    for (const ratio of ratios)
      for (const repeat of [0, 1]) {
        const { type, ...rest } = optimizer;
        using direct =
          type === "adamw"
            ? new AdamW(curved, { learningRate: 1, ...rest } as never)
            : new Sgd(curved, { learningRate: 1, ...rest } as never);
        for (let i = 0; i < accumulate; i++) {
          const at = repeat * accumulate + i;
          const mixed = mixedRows(at, 8 + at, variedRows(ratio, at));
          using batch = Batch.examples({ ...mixed, shape: [rows] });
          const { gradient } = await curved.gradient(batch);
          using own: Direction = gradient;
          await direct.accumulate(own);
        }
        using direction = await direct.direction();
        for (const [task, own] of Object.entries(evaluate)) {
          const batch = own[repeat] as Batch;
          const gradient = await curved.gradient(batch);
          using __ = gradient.gradient;
          const expected = await criticalSharpness({
            model: curved,
            batch,
            direction,
            gradient,
            tolerance: 1e-8,
          });
          const found = measurements.find((m) => m.repeat === repeat && m.ratio === ratio && m.task === task);
          expect(found?.measurement.status).toBe(expected.status);
          expect(found?.measurement.slope).toEqual(near(expected.slope as number, 1e-8));
          expect(found?.measurement.criticalSharpness).toEqual(near(expected.criticalSharpness, 1e-5));
        }
      }
  });
});

describe("a sweep", () => {
  it("goes on from a repeat, bit for bit, and tells its events in order", async () => {
    const events: MixSweepEvent[] = [];
    const all = await run({ onProgress: (event) => events.push(event) });
    const second = await run({ firstRepeat: 1, repeats: 1 });
    expect(second.measurements).toEqual(all.measurements.filter(({ repeat }) => repeat === 1));
    expect(events.map(({ type }) => type).join()).toBe(
      [0, 1].map(() => ["accumulated", ...Array(22).fill("measured"), "cost"].join()).join(),
    );
  });
  it("stops when it is told to, and refuses what is none", async () => {
    const stop = new AbortController();
    const stopped = run({ signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: "ABORT_ERR" });
    const range = { code: "ERR_OUT_OF_RANGE" };
    await expect(run({ ratios: [0.5, 0.1] })).rejects.toMatchObject(range);
    await expect(run({ ratios: [0, 1.1] })).rejects.toMatchObject(range);
    await expect(run({ evaluate: {} })).rejects.toMatchObject(range);
    await expect(run({ repeats: 9 })).rejects.toMatchObject(range);
    await expect(run({ update: { varied: update.varied } as never })).rejects.toMatchObject({
      code: "ERR_INVALID_ARG_TYPE",
    });
    const infinite = Batch.examples({
      inputs: new Float64Array(3),
      targets: Float64Array.of(1e200),
      shape: [1],
    });
    await expect(run({ evaluate: { infinite: () => infinite } })).rejects.toMatchObject({
      code: "ERR_NON_FINITE_LOSS",
    });
    infinite.dispose();
  });
});
