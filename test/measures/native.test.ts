import { beforeAll, describe, expect, test } from "vitest";
import { Batch, createModel, type Direction, type Model } from "../../lib/models/index.js";
import { AdamW, Sgd } from "../../lib/optimizers/index.js";
import { criticalSharpness, relativeCriticalSharpness, SharpnessMeter } from "../../lib/sharpness/index.js";
import { hash } from "../search/lines.js";

/** A regression batch from a fixed function, different for each seed. */
function examples(seed: number, rows = 32): Batch {
  const inputs = Float32Array.from({ length: rows * 6 }, (_, i) => 2 * hash(i, seed));
  const targets = new Float32Array(rows * 2);
  for (let r = 0; r < rows; r++) {
    const x = inputs.subarray(6 * r, 6 * r + 6) as unknown as [number, number, number, number];
    targets[2 * r] = Math.sin(x[0] + x[1]) + 0.1 * hash(r, seed + 1);
    targets[2 * r + 1] = x[2] * x[3];
  }
  return Batch.examples({ inputs, targets, shape: [rows] });
}

const config = { model_type: "mlp", layer_sizes: [6, 24, 2], activation: "gelu", loss: "mse" } as const;

/** The first η on a fine logarithmic grid whose loss is above L(θ). */
async function scan(
  model: Model,
  batch: Batch,
  direction: Direction,
  from: number,
  to: number,
): Promise<number> {
  const base = await model.loss(batch);
  const steps = 600;
  for (let i = 0; i <= steps; i++) {
    const learningRate = from * (to / from) ** (i / steps);
    if ((await model.loss(batch, { perturbation: { direction, learningRate } })) > base) return learningRate;
  }
  return Infinity;
}

describe("on a network", () => {
  let model: Model;
  let batch: Batch;

  beforeAll(async () => {
    model = await createModel(config, { seed: 5, dtype: "float64" });
    batch = examples(1);
  });

  test("ηc is that of a dense scan, in both methods and both forms, and the weights keep every bit", async () => {
    const gradient = await model.gradient(batch);
    const digest = await model.digest();
    const direction = gradient.gradient;
    const scanned = await scan(model, batch, direction, 1e-3, 1e2);
    for (const method of ["interpolated", "bisection"] as const)
      for (const perturbation of ["view", "in-place"] as const) {
        const line = { model, batch, direction, gradient, method, perturbation, tolerance: 1e-3 };
        const result = await criticalSharpness(line);
        expect(result.status).toBe("converged");
        // The grid's own step is 2 %.
        expect(result.criticalLearningRate / scanned).toBeGreaterThan(0.979);
        expect(result.criticalLearningRate / scanned).toBeLessThan(1.002);
        const above = await model.loss(batch, { perturbation: { direction, learningRate: result.upper } });
        const below = await model.loss(batch, { perturbation: { direction, learningRate: result.lower } });
        expect(above).toBeGreaterThan(gradient.loss);
        expect(below).toBeLessThanOrEqual(gradient.loss);
        expect(await model.digest()).toBe(digest);
      }
  });

  test("the slope's sign: −Δ is no descent", async () => {
    const gradient = await model.gradient(batch);
    const direction = await gradient.gradient.scale(-1);
    const result = await criticalSharpness({ model, batch, direction, gradient });
    expect(result.status).toBe("non-descent");
    const blind = await criticalSharpness({ model, batch, direction });
    expect(blind.status).toBe("non-descent");
  });

  test("relative to itself it is the plain measure", async () => {
    const gradient = await model.gradient(batch);
    const direction = gradient.gradient;
    const plain = await criticalSharpness({ model, batch, direction, gradient });
    const relative = await relativeCriticalSharpness({
      model,
      direction,
      evaluate: { same: batch, other: examples(9) },
      gradients: { same: gradient },
    });
    expect(relative.same).toEqual(plain);
    expect(relative.other.baseLoss).not.toBe(plain.baseLoss);
  });

  test("a step before or during a measurement is noticed", async () => {
    const moving = await createModel(config, { seed: 6 });
    const optimizer = new Sgd(moving, { learningRate: 1e-3 });
    const gradient = await moving.gradient(batch);
    await optimizer.accumulate(gradient);
    const direction = await optimizer.direction();
    const running = criticalSharpness({ model: moving, batch, direction, gradient, tolerance: 1e-6 });
    await Promise.all([
      expect(running).rejects.toMatchObject({ code: "ERR_WEIGHTS_CHANGED" }),
      optimizer.step(),
    ]);
    const late = criticalSharpness({ model: moving, batch, direction, gradient });
    await expect(late).rejects.toMatchObject({ code: "ERR_GRADIENT_VERSION" });
  });
});

test("warm measurements while training with AdamW stay near three forward passes", async () => {
  const model = await createModel(config, { seed: 7 });
  const optimizer = new AdamW(model, { learningRate: 2e-3 });
  const meter = new SharpnessMeter();
  const passes: number[] = [];
  for (let step = 0; step < 80; step++) {
    using batch = examples(100 + step);
    const gradient = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    using direction = await optimizer.direction();
    const result = await meter.measure({ model, batch, direction, gradient });
    if (step > 0 && result.status === "converged") passes.push(result.forwardPasses);
    await optimizer.step();
    gradient.gradient.dispose();
  }
  expect(passes.length).toBeGreaterThan(60);
  expect(passes.reduce((a, b) => a + b) / passes.length).toBeLessThan(3.5);
});
