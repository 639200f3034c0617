// Losses, gradients, Δ and ηc against PyTorch's in float64, and every family of models against transformers'.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { distance, golden, goldenVector, openCase } from "../../bench/shared/golden.mjs";
import { AdamW, Curvature, criticalSharpness, Direction, loadBatch, loadModel } from "../../dist/index.js";
import { native } from "../../dist/torch/load.js";
import { device, relative } from "./device.mjs";

const bounds = {
  float64: { loss: 1e-10, gradient: 1e-10, critical: 2e-3 },
  float32: { loss: 2e-6, gradient: 1e-5, critical: 2e-3 },
};
/** Each of four layers rounds its result by up to 2⁻⁹ of itself, and a squared error doubles that. */
const roundedLoss = 4 * 2 * 2 ** -9;

for (const name of Object.keys(golden.cases)) {
  for (const [dtype, bound] of Object.entries(bounds))
    test(`${name} in ${dtype}: loss, gradient, loss along two lines, Δ, ηc`, async () => {
      const open = await openCase(name, dtype, device);
      const { model, batches } = open;
      const optimizer = new AdamW(model, { learningRate: 1, ...golden.optimizers.adamw });
      let gradient;
      for (const [i, batch] of batches.entries()) {
        for (const microBatch of [undefined, 2])
          assert.ok(relative(await model.loss(batch, { microBatch }), open.losses[i]) < bound.loss);
        gradient = await model.gradient(batch);
        assert.ok((await distance(open, `gradient.${i}`, gradient.gradient)) < bound.gradient);
        await optimizer.accumulate(await goldenVector(open, `gradient.${i}`));
      }
      assert.ok((await distance(open, "adamw", await optimizer.direction())) < bound.gradient);
      const batch = batches.at(-1);
      for (const line of open.lines) {
        const direction = await goldenVector(open, line.vector);
        for (const { learningRate, loss } of line.points) {
          const received = await model.loss(batch, { perturbation: { direction, learningRate } });
          assert.ok(relative(received, loss) < bound.loss);
        }
        const result = await criticalSharpness({ model, batch, direction, gradient, tolerance: 1e-3 });
        assert.equal(result.status, "converged");
        assert.ok(relative(result.criticalLearningRate, line.criticalLearningRate) < bound.critical);
      }
    });

  test(`${name} in bfloat16: loss as far as its digits go`, async () => {
    const open = await openCase(name, "bfloat16", device);
    for (const [i, batch] of open.batches.entries())
      assert.ok(relative(await open.model.loss(batch), open.losses[i]) < roundedLoss);
  });
}

const families = path.join(import.meta.dirname, "../models/families");
const { step, cases } = JSON.parse(readFileSync(path.join(families, "cases.json"), "utf8"));

async function apart(a, b) {
  const difference = await native().combine([a.handle, b.handle], [1, -1]);
  return (await difference.norm()) / (await b.norm());
}

for (const [name, known] of Object.entries(cases))
  test(`${name}: loss, gradient, θ − ηΔ and Hessian-vector product in float64`, async () => {
    const folder = path.join(families, "cases", name);
    const model = await loadModel(folder, { dtype: "float64", device });
    const batch = await loadBatch(path.join(folder, "batch.safetensors"));
    const vector = (what) => Direction.load(path.join(folder, `${what}.safetensors`), model);
    const gradient = await model.gradient(batch);
    assert.ok(relative(gradient.loss, known.loss) < 1e-10);
    assert.ok((await apart(gradient.gradient, await vector("gradient"))) < 1e-10);
    const recomputed = await model.gradient(batch, { recompute: true });
    assert.ok((await apart(recomputed.gradient, gradient.gradient)) < 1e-10);
    const perturbation = { direction: await vector("gradient"), learningRate: step };
    assert.ok(relative(await model.loss(batch, { perturbation }), known.movedLoss) < 1e-10);
    const { product, slope } = await new Curvature(model, batch).product(await vector("vector"));
    assert.ok(Math.abs(slope - known.slope) < 1e-9);
    assert.ok((await apart(product, await vector("product"))) < 1e-9);
  });
