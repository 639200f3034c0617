import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FrozenEvent, type FrozenOptions, frozenSharpness } from "../../lib/experiments/index.js";
import { Batch, createModel, type Model } from "../../lib/models/index.js";
import { AdamW } from "../../lib/optimizers/index.js";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { temporaryFolder } from "./helpers.js";
import { linearProblem } from "./linear-problem.js";

const folder = temporaryFolder();
const problem = linearProblem({ features: 5, rows: 12, batches: 9 });
const batches = problem.data.map(({ inputs, targets }) =>
  Batch.examples({ inputs, targets, shape: [targets.length] }),
);
let model: Model;
let weights: Float64Array;
beforeAll(async () => {
  const config = { model_type: "mlp", layer_sizes: [5, 1], activation: "tanh", loss: "mse" } as const;
  model = await createModel(config, { dtype: "float64", seed: 3 });
  weights = Float64Array.from([
    ...new Float64Array(await model.handle.read(0, 0, 40)),
    ...new Float64Array(await model.handle.read(1, 0, 8)),
  ]);
});
afterAll(() => {
  for (const batch of batches) batch.dispose();
  model.dispose();
});
const near = (value: number, tolerance = 1e-6) => ({
  asymmetricMatch: (other: unknown) => Math.abs((other as number) - value) <= tolerance * Math.abs(value),
});
const run = (options: Partial<FrozenOptions>) =>
  frozenSharpness({ model, batches, measure: 3, tolerance: 1e-7, ...options });

describe("λc with frozen weights, on a quadratic where it has a closed form", () => {
  const adamw = { betas: [0.8, 0.9], epsilon: 1e-3, weightDecay: 0.2 } as const;
  it.each([
    ["AdamW", { type: "adamw", ...adamw }, true, { ...adamw }],
    ["AdamW without its decay", { type: "adamw", ...adamw }, false, { ...adamw, weightDecay: 0 }],
    ["SGD", { type: "sgd", momentum: 0.7, weightDecay: 0.1 }, true, { momentum: 0.7, weightDecay: 0.1 }],
    [
      "SGD without its decay",
      { type: "sgd", momentum: 0.7, weightDecay: 0.1 },
      false,
      { momentum: 0.7, weightDecay: 0 },
    ],
  ] as const)("%s", async (_, optimizer, weightDecay, rule) => {
    const before = await model.digest();
    const found = await run({ accumulate: 4, optimizer, weightDecay, directional: true });
    const expected = problem.protocol(weights, { ...rule, accumulate: 4, measure: 3 });
    expect(found.batches.map((b) => b.index)).toEqual([4, 5, 6]);
    expect(found.accumulated).toBe(4);
    for (const [i, { loss, gradientNorm, measurement, directionalSharpness }] of found.batches.entries()) {
      const { sharpness, ...facts } = expected[i] as (typeof expected)[number];
      expect(loss).toEqual(near(facts.loss, 1e-12));
      expect(gradientNorm).toEqual(near(facts.gradientNorm, 1e-12));
      expect(measurement).toMatchObject({ status: "converged", slope: near(facts.slope, 1e-10) });
      expect(measurement.criticalSharpness).toEqual(near(sharpness));
      expect(directionalSharpness).toEqual(near(sharpness, 1e-9));
    }
    const values = expected.map((e) => e.sharpness);
    const mean = values.reduce((a, b) => a + b) / 3;
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 2);
    expect(found.criticalSharpness).toEqual({
      mean: near(mean),
      standardError: near(deviation / Math.sqrt(3), 1e-4),
      count: 3,
      median: near([...values].sort((a, b) => a - b)[1] as number),
      nonDescent: 0,
      unbounded: 0,
      unresolved: 0,
    });
    expect(await model.digest()).toBe(before);
    expect(model.version).toBe(1);
  });

  it("each part of the model has its own λc", async () => {
    const parts = { weight: "layers.0.weight", bias: ["layers.0.bias"] };
    const optimizer = { type: "sgd" } as const;
    const found = await run({ accumulate: 1, optimizer, parts });
    const rule = { momentum: 0, weightDecay: 0, accumulate: 1, measure: 3 };
    for (const [name, kept] of Object.entries({ weight: [0, 1, 2, 3, 4], bias: [5] })) {
      const expected = problem.protocol(weights, { ...rule, kept }).map((e) => e.sharpness);
      expect(found.batches.map((b) => b.parts[name]?.criticalSharpness)).toEqual(
        expected.map((value) => near(value)),
      );
      expect(found.parts[name]?.mean).toEqual(near(expected.reduce((a, b) => a + b) / 3));
    }
  });

  it("λmax(P⁻¹H) bounds λdir where Δ = P⁻¹g, and is λmax(H) with SGD", async () => {
    const hessian = { tolerance: 1e-8 };
    const first = { type: "adamw", betas: [0, 0.9], weightDecay: 0 } as const;
    const found = await run({ accumulate: 2, optimizer: first, directional: true, hessian });
    for (const { preconditioned, directionalSharpness } of found.batches) {
      expect(preconditioned?.converged).toBe(true);
      expect(directionalSharpness).toBeLessThan(preconditioned?.eigenvalue as number);
    }
    const plain = await run({ accumulate: 2, optimizer: { type: "sgd" }, hessian });
    const along = await run({ direction: await gradientOf(0), hessian, accumulate: 2 });
    expect(plain.preconditioned?.mean).toEqual(near(along.preconditioned?.mean as number));
  });
});

const gradientOf = async (index: number) => (await model.gradient(batches[index] as Batch)).gradient;

describe("where Δ comes from", () => {
  it("a stored state takes the place of the gradients; the same batches are measured", async () => {
    const optimizer = { type: "adamw", betas: [0.9, 0.95] } as const;
    const accumulated = await run({ accumulate: 5, optimizer });
    using stored = new AdamW(model, { learningRate: 1, betas: [0.9, 0.95] });
    for (let i = 0; i < 5; i++) await stored.accumulate(await gradientOf(i));
    const optimizerState = path.join(folder, "optimizer.safetensors");
    await stored.save(optimizerState);
    const events: string[] = [];
    const onProgress = (event: FrozenEvent) => void events.push(`${event.type} ${event.index}`);
    const loaded = await run({ accumulate: 5, optimizer, optimizerState, onProgress });
    expect(loaded.batches[0]).toEqual(accumulated.batches[0]);
    expect(loaded.accumulated).toBe(accumulated.accumulated);
    expect(events).toEqual(["measured 5", "measured 6", "measured 7"]);
  });

  it("each measured batch is the next one of a stored state by itself", async () => {
    const optimizer = { type: "adamw", betas: [0.9, 0.95] } as const;
    using stored = new AdamW(model, { learningRate: 1, betas: [0.9, 0.95] });
    for (let i = 0; i < 5; i++) await stored.accumulate(await gradientOf(i));
    const optimizerState = path.join(folder, "again.safetensors");
    await stored.save(optimizerState);
    const options = { accumulate: 0, optimizer, optimizerState };
    const { batches: found } = await run({ ...options, batches: batches.slice(5, 8) });
    for (const [i, { measurement }] of found.entries()) {
      const alone = await run({ ...options, measure: 1, batches: [batches[5 + i] as Batch] });
      const [only] = alone.batches;
      expect(measurement.slope).toBe(only?.measurement.slope);
      expect(measurement.criticalSharpness).toEqual(near(only?.measurement.criticalSharpness as number));
    }
  });

  it("a given direction is the same for every batch", async () => {
    using direction = await gradientOf(8);
    const found = await run({ direction, measure: 2 });
    for (const [i, { measurement }] of found.batches.entries()) {
      const [batch, gradient] = [batches[i] as Batch, await gradientOf(i)];
      const alone = await criticalSharpness({ model, batch, direction, gradient, tolerance: 1e-7 });
      expect(measurement.criticalSharpness).toEqual(near(alone.criticalSharpness));
    }
    expect(found.accumulated).toBe(0);
  });

  it("batches may be made when it is their turn", async () => {
    const asked: number[] = [];
    const source = (index: number) => {
      asked.push(index);
      return Promise.resolve(batches[index] as Batch);
    };
    const optimizer = { type: "sgd", momentum: 0.5 } as const;
    expect(await run({ batches: source, accumulate: 2, optimizer })).toEqual(
      await run({ accumulate: 2, optimizer }),
    );
    expect(asked).toEqual([0, 1, 2, 3, 4]);
  });
});

describe("what the mean is over", () => {
  it("leaves out batches along which Δ does not descend, and counts them", async () => {
    using gradient = await gradientOf(0);
    using direction = await gradient.scale(-1);
    const found = await run({ direction, measure: 1, directional: true });
    expect(found.criticalSharpness).toEqual({
      mean: null,
      standardError: null,
      count: 0,
      median: Infinity,
      nonDescent: 1,
      unbounded: 0,
      unresolved: 0,
    });
    expect(found.directionalSharpness?.count).toBe(0);
  });

  it("has λc = 0 where the loss never rises", async () => {
    const config = {
      model_type: "mlp",
      layer_sizes: [1, 2],
      activation: "tanh",
      loss: "cross_entropy",
    } as const;
    using classifier = await createModel(config, { seed: 1 });
    using batch = Batch.examples({
      inputs: Float32Array.of(-1, 1),
      targets: Uint8Array.of(0, 1),
      shape: [2],
    });
    const { gradient } = await classifier.gradient(batch);
    // Along the weights alone, of data that they separate, the loss falls for ever.
    using direction = gradient.mask("layers.0.weight");
    const found = await frozenSharpness({ model: classifier, batches: [batch], direction, measure: 1 });
    expect(found.criticalSharpness).toMatchObject({ mean: 0, count: 1, median: 0, unbounded: 1 });
  });
});

describe("while it runs", () => {
  it("stops when it is told to", async () => {
    const stop = new AbortController();
    const events: string[] = [];
    const onProgress = (event: FrozenEvent) => {
      events.push(event.type);
      if (events.length === 3) stop.abort();
    };
    const optimizer = { type: "sgd" } as const;
    await expect(run({ accumulate: 2, optimizer, signal: stop.signal, onProgress })).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(events).toEqual(["accumulated", "accumulated", "measured"]);
  });

  it("says which batch has no finite loss", async () => {
    using bad = Batch.examples({ inputs: [1, 2, 3, 4, 1e200], targets: Float64Array.of(1), shape: [1] });
    const given = [batches[0] as Batch, bad, batches[1] as Batch];
    const call = run({ batches: given, accumulate: 1, measure: 2, optimizer: { type: "sgd" } });
    await expect(call).rejects.toMatchObject({
      code: "ERR_NON_FINITE_LOSS",
      message: "Expected a finite loss for batch 1 but received Infinity",
    });
  });
});
