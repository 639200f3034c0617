import { expect, it } from "vitest";
import {
  Batch,
  createModel,
  criticalSharpness,
  Direction,
  frozenSharpness,
  relativeCriticalSharpness,
  SharpnessMeter,
  sharpnessMatrix,
} from "../../lib/index.js";
import { measurementRecord, measurementSchema } from "../../lib/sharpness/index.js";

const allow = 0.05;
const rows = 64;

async function problem() {
  const config = {
    model_type: "mlp",
    layer_sizes: [6, 12, 2],
    activation: "tanh",
    loss: "mse",
  } as const;
  const model = await createModel(config, { seed: 3, dtype: "float64" });
  const batch = (phase: number) =>
    Batch.examples({
      inputs: Float64Array.from({ length: 6 * rows }, (_, i) => Math.sin(1.7 * i + phase)),
      targets: Float64Array.from({ length: 2 * rows }, (_, i) => Math.cos(0.9 * i * i + phase)),
      shape: [rows],
    });
  return { model, batch: batch(0), other: batch(1) };
}

it("every measure gives the step that a dense scan of the loss gives", async () => {
  const { model, batch, other } = await problem();
  const gradient = await model.gradient(batch);
  const direction = gradient.gradient;
  const scan = async (judge: Batch, delta: Direction) => {
    const base = await model.loss(judge);
    for (let eta = 0; ; eta += 0.002) {
      const loss = await model.loss(judge, { perturbation: { direction: delta, learningRate: eta } });
      if (loss > base * (1 + allow)) return eta;
    }
  };
  const close = (found: { allowed?: { learningRate: number | null } }, at: number) =>
    expect(Math.abs((found.allowed?.learningRate ?? NaN) - at)).toBeLessThan(0.01 * at + 0.002);
  const [own, others] = [await scan(batch, direction), await scan(other, direction)];

  const found = await criticalSharpness({ model, batch, direction, gradient, allow });
  close(found, own);
  const without = await criticalSharpness({ model, batch, direction, gradient });
  expect(without.allowed).toBeUndefined();
  expect(found.criticalLearningRate).toBe(without.criticalLearningRate);
  const more = found.evaluations.length - without.evaluations.length;
  expect(found.forwardPasses - without.forwardPasses).toBe(more);
  expect(more).toBeLessThanOrEqual(8);

  const relative = await relativeCriticalSharpness({ model, direction, evaluate: { batch, other }, allow });
  close(relative.batch, own);
  close(relative.other, others);
  const matrix = await sharpnessMatrix({ model, tasks: { batch, other }, allow });
  close(matrix.batch.other, others);
  const meter = new SharpnessMeter({ allow });
  close(await meter.measure({ model, batch, direction, gradient }), own);
  const frozen = await frozenSharpness({ model, batches: [batch], direction, measure: 1, allow });
  close(frozen.batches[0]?.measurement ?? {}, own);

  const record = JSON.parse(JSON.stringify(measurementRecord(found, 0)));
  expect(measurementSchema.parse(record).allowed).toEqual(found.allowed);
});

it("a Δ that raises the loss at once has a budget, though its ηc is 0", async () => {
  const { model, batch } = await problem();
  const gradient = await model.gradient(batch);
  const direction = await gradient.gradient.scale(-1);
  const found = await criticalSharpness({ model, batch, direction, gradient, allow });
  expect(found).toMatchObject({ status: "non-descent", criticalLearningRate: 0, upper: 0 });
  expect(found.allowed?.status).toBe("converged");
  const at = { perturbation: { direction, learningRate: found.allowed?.learningRate as number } };
  expect((await model.loss(batch, at)) / (gradient.loss * (1 + allow))).toBeCloseTo(1, 3);
});

it("a Δ that changes nothing leaves every step within the budget", async () => {
  const { model, batch } = await problem();
  const direction = Direction.from(model, { "layers.0.bias": new Float64Array(12) });
  const found = await criticalSharpness({ model, batch, direction, allow });
  expect(found.allowed).toMatchObject({ status: "unbounded", learningRate: null, upper: null });
});

it("a budget below the loss's rounding noise is unresolved", async () => {
  const { model, batch } = await problem();
  const gradient = await model.gradient(batch);
  const found = await criticalSharpness({
    ...{ model, batch, gradient, direction: gradient.gradient },
    lossNoise: gradient.loss / 100,
    allow,
  });
  expect(found.allowed).toMatchObject({ status: "unresolved", learningRate: null });
});
