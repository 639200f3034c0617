import { Direction } from "../../lib/models/direction.js";
import { Batch, createModel, type Model, type ModelConfigInput } from "../../lib/models/index.js";
import { Sgd } from "../../lib/optimizers/index.js";
import type { ComputeDtype } from "../../lib/torch/index.js";

export interface Small {
  model: Model;
  batch: Batch;
}

const mlp = { model_type: "mlp", layer_sizes: [4, 6, 3], activation: "gelu", loss: "cross_entropy" } as const;
const gpt = { model_type: "gpt2", vocab_size: 7, n_positions: 6, n_embd: 4, n_layer: 1, n_head: 2 } as const;

/** A classifier of 51 weights, not at a minimum. */
export async function smallMlp(
  dtype: ComputeDtype = "float64",
  config: ModelConfigInput = mlp,
): Promise<Small> {
  const inputs = Float64Array.from({ length: 36 }, (_, i) => Math.sin(1.7 * i));
  const labels = Int32Array.from({ length: 9 }, (_, i) => (i * i) % 3);
  const numbers = Float64Array.from({ length: 27 }, (_, i) => Math.cos(2.3 * i));
  const targets = "loss" in config && config.loss === "mse" ? numbers : labels;
  const batch = Batch.examples({ inputs, targets, shape: [9] });
  return { model: await moved(config, dtype, 0.4), batch };
}

/** A GPT-2 of 304 weights whose norms and biases are not those of a fresh one. */
export async function smallGpt(dtype: ComputeDtype = "float64"): Promise<Small> {
  const inputIds = Int32Array.from({ length: 18 }, (_, i) => (i * 5 + 3) % 7);
  const labels = Int32Array.from({ length: 18 }, (_, i) => (i % 5 === 2 ? -100 : (i * 4 + 1) % 7));
  const batch = Batch.tokens({ inputIds, labels, shape: [3, 6] });
  return { model: await moved(gpt, dtype, 0.2), batch };
}

/** A fresh model, and then a random step away. */
async function moved(config: ModelConfigInput, dtype: ComputeDtype, distance: number): Promise<Model> {
  const model = await createModel(config, { seed: 3, dtype });
  const optimizer = new Sgd(model, { learningRate: distance });
  using step = await Direction.random(model, { seed: 5 });
  await optimizer.accumulate(step);
  await optimizer.step();
  return model;
}
