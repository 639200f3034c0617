// The GPU's memory: measuring allocates nothing after the first pass, holds no second copy of the weights, and running out of it
// is an error after which everything goes on.
import assert from "node:assert/strict";
import test from "node:test";
import { tokenBatch } from "../../bench/shared/models.mjs";
import { AdamW, Batch, createModel, criticalSharpness } from "../../dist/index.js";
import { native } from "../../dist/native/load.js";
import { device, gpuOnly } from "./device.mjs";

const config = { model_type: "gpt2", vocab_size: 8192, n_positions: 256, n_embd: 512, n_layer: 8, n_head: 8 };
const memory = (resetPeak = false) => native().deviceMemory(device, resetPeak);

test("measuring asks the driver for no memory after the first pass", gpuOnly, async () => {
  const { batch } = tokenBatch(config, 8);
  for (const dtype of ["float32", "bfloat16"]) {
    using model = await createModel(config, { seed: 1, dtype, device });
    const gradient = await model.gradient(batch);
    using optimizer = new AdamW(model, { learningRate: 1e-3 });
    await optimizer.accumulate(gradient);
    for (const stored of [true, false]) {
      using direction = await optimizer.direction({ stored });
      const measure = () => criticalSharpness({ model, batch, direction, gradient });
      await measure();
      const before = await memory(true);
      for (let i = 0; i < 3; i++) await measure();
      const after = await memory();
      assert.equal(after.driverAllocations, before.driverAllocations);
      assert.equal(after.allocated, before.allocated);
    }
    gradient.gradient.dispose();
  }
});

test("a perturbed pass holds one weight more than a plain one, and no more", gpuOnly, async () => {
  const { batch } = tokenBatch(config, 4);
  using model = await createModel(config, { seed: 1, device });
  const { gradient } = await model.gradient(batch);
  const peakOf = async (perturbation) => {
    await model.loss(batch, { perturbation });
    const { allocated } = await memory(true);
    await model.loss(batch, { perturbation });
    return (await memory()).peak - allocated;
  };
  const plain = await peakOf(undefined);
  const moved = await peakOf({ direction: gradient, learningRate: 1e-3 });
  const largest = Math.max(...model.parameters.map(({ size }) => 4 * size));
  assert.ok(moved - plain < largest + (1 << 20), `${moved - plain} bytes more`);
  gradient.dispose();
});

test("what is disposed of is given back", gpuOnly, async () => {
  const before = await memory();
  for (let i = 0; i < 20; i++) {
    using model = await createModel(config, { seed: i, device });
    assert.ok((await memory()).allocated >= before.allocated + 4 * model.parameterCount);
  }
  await native().setThreads(1); // a job behind the freeing
  assert.ok((await memory()).allocated <= before.allocated + (1 << 20));
});

test(
  "a GPU without enough memory is an error that names the need, and the process goes on",
  gpuOnly,
  async () => {
    const rows = 1 << 16;
    const width = 1 << 24; // 4 TiB of activations
    const sizes = [4, width, 1];
    using model = await createModel(
      { model_type: "mlp", layer_sizes: sizes, activation: "relu", loss: "mse" },
      { device, initialization: "zeros" },
    );
    using batch = Batch.examples({
      inputs: new Float32Array(rows * 4),
      targets: new Float32Array(rows),
      shape: [rows],
    });
    for (let i = 0; i < 2; i++)
      await assert.rejects(model.loss(batch), (error) => {
        assert.equal(error.code, "ERR_OUT_OF_MEMORY");
        assert.match(error.message, /CUDA out of memory\. Tried to allocate [\d.]+ [KMGT]iB.*microBatch/);
        return true;
      });
    assert.equal(await model.loss(batch, { microBatch: 16 }), 0);
  },
);
