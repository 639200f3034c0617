// The GPU's memory: measuring allocates nothing after the first pass, holds no second copy of the weights, and running out of it
// is an error after which everything goes on.
import assert from "node:assert/strict";
import test from "node:test";
import { tokenBatch } from "../../bench/shared/models.mjs";
import { AdamW, Batch, createModel, criticalSharpness } from "../../dist/index.js";
import { native } from "../../dist/torch/load.js";
import { device, gpuOnly } from "./device.mjs";

const config = { model_type: "gpt2", vocab_size: 8192, n_positions: 256, n_embd: 512, n_layer: 8, n_head: 8 };
const memory = (resetPeak = false) => native().deviceMemory(device, resetPeak);

/** A test that may keep things until its end, however it ends. */
const testWith = (name, body) =>
  test(name, gpuOnly, async () => {
    const kept = [];
    try {
      await body((thing) => {
        kept.push(thing);
        return thing;
      });
    } finally {
      for (const thing of kept.reverse()) thing.dispose();
    }
  });

for (const dtype of ["float32", "bfloat16"])
  testWith(`${dtype}: measuring asks the driver for no memory after the first pass`, async (keep) => {
    const batch = keep(tokenBatch(config, 8).batch);
    const model = keep(await createModel(config, { seed: 1, dtype, device }));
    const gradient = await model.gradient(batch);
    keep(gradient.gradient);
    const optimizer = keep(new AdamW(model, { learningRate: 1e-3 }));
    await optimizer.accumulate(gradient);
    for (const stored of [true, false]) {
      const direction = keep(await optimizer.direction({ stored }));
      const measure = () => criticalSharpness({ model, batch, direction, gradient });
      await measure();
      const before = await memory(true);
      for (let i = 0; i < 3; i++) await measure();
      const after = await memory();
      assert.equal(after.driverAllocations, before.driverAllocations);
      assert.equal(after.allocated, before.allocated);
    }
  });

testWith("a perturbed pass holds one weight more than a plain one, and no more", async (keep) => {
  const batch = keep(tokenBatch(config, 4).batch);
  const model = keep(await createModel(config, { seed: 1, device }));
  const direction = keep((await model.gradient(batch)).gradient);
  const peakOf = async (perturbation) => {
    await model.loss(batch, { perturbation });
    const { allocated } = await memory(true);
    await model.loss(batch, { perturbation });
    return (await memory()).peak - allocated;
  };
  const plain = await peakOf(undefined);
  const moved = await peakOf({ direction, learningRate: 1e-3 });
  const largest = Math.max(...model.parameters.map(({ size }) => 4 * size));
  assert.ok(moved - plain < largest + (1 << 20), `${moved - plain} bytes more`);
});

testWith("what is disposed of is given back", async () => {
  const before = await memory();
  for (let seed = 0; seed < 20; seed++) {
    const model = await createModel(config, { seed, device });
    assert.ok((await memory()).allocated >= before.allocated + 4 * model.parameterCount);
    model.dispose();
  }
  assert.ok((await memory()).allocated <= before.allocated + (1 << 20));
});

testWith("too little memory is an error that names the need, and the process goes on", async (keep) => {
  const rows = 1 << 16;
  const width = 1 << 24; // 4 TiB of activations
  const model = keep(
    await createModel(
      { model_type: "mlp", layer_sizes: [4, width, 1], activation: "relu", loss: "mse" },
      { device, initialization: "zeros" },
    ),
  );
  const inputs = new Float32Array(rows * 4);
  const batch = keep(Batch.examples({ inputs, targets: new Float32Array(rows), shape: [rows] }));
  for (let i = 0; i < 2; i++)
    await assert.rejects(model.loss(batch), (error) => {
      assert.equal(error.code, "ERR_OUT_OF_MEMORY");
      assert.match(error.message, /CUDA out of memory\. Tried to allocate [\d.]+ [KMGT]iB.*microBatch/s);
      return true;
    });
  const small = keep(
    Batch.examples({ inputs: inputs.slice(0, 64), targets: new Float32Array(16), shape: [16] }),
  );
  assert.equal(await model.loss(small), 0);
});
