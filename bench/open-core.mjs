// What directions of low rank, frozen parameters and micro-batches cost: `node bench/open-core.mjs`. Every figure is a ratio of
// processor times in one process, in pairs that take turns.
import { AdamW, Batch, createModel, Direction } from "../dist/index.js";
import { native } from "../dist/torch/index.js";
import { factorsOf, processorRatio, tokenData } from "./shared/processor.mjs";
import { figure, writeResults } from "./shared/results.mjs";

const gpt = (width, layers, vocabulary) => ({
  model_type: "gpt2",
  vocab_size: vocabulary,
  n_positions: 512,
  n_embd: width,
  n_layer: layers,
  n_head: width / 64,
});

const rows = [];
const put = (what, bar, measured, detail) =>
  rows.push({ what, bar: `≤ ${bar}`, measured: figure(measured), met: measured <= bar, detail });

{
  // 10 M weights: 8 layers of width 256 and a vocabulary of 8,192 words.
  const config = gpt(256, 8, 8192);
  const model = await createModel(config);
  const direction = Direction.from(model, factorsOf(model));
  for (const [batch, length] of [
    [4, 512],
    [1, 512],
  ]) {
    const data = Batch.tokens(tokenData(batch, length, config.vocab_size));
    const perturbation = { direction, learningRate: 1e-3 };
    const found = await processorRatio(
      () => model.loss(data, { perturbation }),
      () => model.loss(data),
    );
    put(
      `forward pass along Δ of rank 8 ÷ plain one, ${batch * length} tokens`,
      1.05,
      found,
      "GPT-2 of 8.5 M",
    );
  }
}
{
  const config = gpt(512, 12, 4096);
  const last = `*.h.${config.n_layer - 1}.*`;
  const whole = await createModel(config);
  const part = await createModel(config, { trainable: [last] });
  const data = Batch.tokens(tokenData(2, 256, config.vocab_size));
  const gradient = async (model) => (await model.gradient(data)).gradient.dispose();
  const found = await processorRatio(
    () => gradient(part),
    () => gradient(whole),
  );
  const millions = whole.parameterCount / 1e6;
  put(
    "gradient with all but the last layer frozen ÷ whole gradient",
    0.7,
    found,
    `GPT-2 of ${figure(millions)} M`,
  );
  const held = async (model) => {
    const before = native().memory().bytes;
    const optimizer = new AdamW(model, { learningRate: 1e-3 });
    await optimizer.accumulateFrom(data);
    const direction = await optimizer.direction();
    const bytes = native().memory().bytes - before;
    for (const one of [optimizer, direction]) one.dispose();
    return bytes / (4 * model.trainableCount * 3);
  };
  const share = (await held(part)) / (await held(whole));
  put(
    "bytes of state and Δ a trainable weight ÷ the same of the whole",
    1.01,
    share,
    `${figure(part.trainableCount / 1e6)} M trainable`,
  );
}
{
  const config = gpt(256, 8, 8192);
  const model = await createModel(config);
  const data = Batch.tokens(tokenData(8, 256, config.vocab_size));
  const direction = (await model.gradient(data)).gradient;
  const parts = Array.from({ length: 8 }, (_, i) => data.rows(i, i + 1));
  const perturbation = { direction, learningRate: 1e-2 };
  const together = () => model.loss(data, { perturbation, microBatch: 1 });
  const apart = async () => {
    for (const one of parts) await model.loss(one, { perturbation });
  };
  const found = await processorRatio(together, apart);
  put(
    "loss at η > 0, 8 micro-batches of 256 tokens, layer by layer ÷ one after the other",
    0.8,
    found,
    "GPT-2 of 8.5 M",
  );
  for (const one of parts) one.dispose();
}

await writeResults("open-core", "Directions of low rank, frozen parameters, micro-batches", rows);
