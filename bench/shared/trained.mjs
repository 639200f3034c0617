// Networks on their way through a training run, for what is measured at one point of it.
import { AdamW, Batch, createModel, Sgd, syntheticExamples } from "../../dist/index.js";
import { gpt, textBatches } from "./models.mjs";

const sequences = 4;
const examples = 512;
const layers = {
  "0.1 M": [128, 256, 256, 10],
  "1 M": [784, 512, 512, 512, 10],
  "10 M": [1024, 2048, 2048, 2048, 10],
  "40 M": [2048, 4096, 4096, 4096, 10],
};
export const sizes = Object.keys(layers);

/**
 * Training by AdamW on text, 1,024 tokens a step (`GPT`), or by SGD on 512 examples, always the same (`MLP`).
 *
 * @returns { config, model, optimizer, optimizerOf(model), settings: AdamW's, data(step): data of a batch, batchOf(data) }
 */
export async function training(kind, size, steps) {
  if (kind === "GPT") {
    const config = gpt(size);
    const texts = await textBatches(config, sequences, steps);
    const model = await createModel(config, { seed: 1 });
    const settings = { learningRate: 1e-3, betas: [0.9, 0.95], weightDecay: 0.1 };
    const optimizerOf = (m) => new AdamW(m, settings);
    const optimizer = optimizerOf(model);
    const batchOf = Batch.tokens;
    return { config, model, optimizer, optimizerOf, settings, data: (step) => texts[step], batchOf };
  }
  const sizes = layers[size];
  const config = { model_type: "mlp", layer_sizes: sizes, activation: "gelu", loss: "cross_entropy" };
  const { inputs, targets } = syntheticExamples({
    task: "classification",
    count: examples,
    features: sizes[0],
    outputs: sizes.at(-1),
    seed: 1,
  });
  const set = { inputs, targets: Int32Array.from(targets), shape: [examples] };
  const model = await createModel(config, { seed: 1 });
  const optimizerOf = (m) => new Sgd(m, { learningRate: 0.1 });
  const optimizer = optimizerOf(model);
  return { config, model, optimizer, optimizerOf, data: () => set, batchOf: Batch.examples };
}
