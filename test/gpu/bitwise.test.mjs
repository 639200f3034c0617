// What holds bit for bit: weights after a measurement, a loss that is computed again, a step and the pass that stood for it, an
// optimizer's arithmetic on the GPU and on the CPU.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { tokenBatch } from "../../bench/shared/models.mjs";
import { AdamW, createModel, criticalSharpness, Sgd } from "../../dist/index.js";
import { hessianEigenvalues } from "../../lib/curvature/index.js";
import { device } from "./device.mjs";

const config = { model_type: "gpt2", vocab_size: 1024, n_positions: 64, n_embd: 128, n_layer: 3, n_head: 4 };
const { batch } = tokenBatch(config, 8);
const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-gpu-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const optimizers = {
  adamw: (model) => new AdamW(model, { learningRate: 1e-3, weightDecay: 0.1 }),
  sgd: (model) => new Sgd(model, { learningRate: 1e-2, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
};

async function bytesOf(vector) {
  const parts = [];
  for (const [index, { size }] of vector.parameters.entries())
    parts.push(Buffer.from(await vector.handle.read(index, 0, 8 * size)));
  return Buffer.concat(parts);
}

test("a seed gives the same weights on every device", async () => {
  const here = await createModel(config, { seed: 3, device });
  const there = await createModel(config, { seed: 3 });
  assert.equal(here.device, device);
  assert.equal(await here.digest(), await there.digest());
});

for (const dtype of ["float32", "float64", "bfloat16"])
  test(`${dtype}: measuring leaves every bit of the weights, and gives the same bits again`, async () => {
    const model = await createModel(config, { seed: 1, dtype, device });
    const digest = await model.digest();
    const gradient = await model.gradient(batch);
    for (const make of Object.values(optimizers)) {
      const optimizer = make(model);
      await optimizer.accumulate(gradient);
      const [stored, made] = [await optimizer.direction(), await optimizer.direction({ stored: false })];
      const results = [];
      for (const direction of [stored, stored, made])
        results.push(await criticalSharpness({ model, batch, direction, gradient }));
      assert.equal(results[0].status, "converged");
      for (const { evaluations } of results.slice(1)) assert.deepEqual(evaluations, results[0].evaluations);
    }
    const stopped = new AbortController();
    const measuring = criticalSharpness({
      model,
      batch,
      direction: gradient.gradient,
      gradient,
      signal: stopped.signal,
      onEvaluation: () => stopped.abort(),
    });
    await assert.rejects(measuring, { code: "ABORT_ERR" });
    assert.equal(await model.digest(), digest);
    assert.equal(await model.loss(batch), await model.loss(batch));
  });

for (const [name, make] of Object.entries(optimizers))
  test(`${name}: after a step the loss is that of the pass that stood for it`, async () => {
    const model = await createModel(config, { seed: 1, device });
    const optimizer = make(model);
    for (let i = 0; i < 3; i++) await optimizer.accumulate(await model.gradient(batch));
    const learningRate = 3e-3;
    const direction = await optimizer.direction();
    const expected = await model.loss(batch, { perturbation: { direction, learningRate } });
    await optimizer.step({ learningRate });
    assert.equal(await model.loss(batch), expected);
  });

for (const [name, make] of Object.entries(optimizers))
  test(`${name}: state, Δ and step have the bits of the CPU`, async () => {
    const here = await createModel(config, { seed: 1, device });
    const there = await createModel(config, { seed: 1 });
    const gradients = path.join(folder, `${name}.safetensors`);
    const [a, b] = [make(here), make(there)];
    for (let i = 0; i < 2; i++) {
      const { gradient } = await here.gradient(batch);
      await gradient.save(gradients);
      await a.accumulate(gradient);
      const { Direction } = await import("../../dist/index.js");
      await b.accumulate(await Direction.load(gradients, there));
      assert.deepEqual(await bytesOf(await a.direction()), await bytesOf(await b.direction()));
      assert.deepEqual(
        await bytesOf(await a.direction({ stored: false })),
        await bytesOf(await b.direction({ weightDecay: true })),
      );
      await a.step();
      await b.step();
      assert.equal(await here.digest(), await there.digest());
    }
  });

test("Hessian eigenvalues are those of the CPU", async () => {
  const small = { ...config, n_embd: 32, n_layer: 2 };
  const values = [];
  for (const on of [device, "cpu"]) {
    const model = await createModel(small, { seed: 1, dtype: "float64", device: on });
    const { eigenvalues } = await hessianEigenvalues({ model, batch, count: 2, tolerance: 1e-6 });
    values.push(eigenvalues);
  }
  for (const i of [0, 1]) assert.ok(Math.abs(values[0][i] / values[1][i] - 1) < 1e-5);
});
