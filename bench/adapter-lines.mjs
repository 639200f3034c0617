// Whether several η of an adapter's line are worth one pass: `node bench/adapter-lines.mjs`. Of K η in one pass, W is read once for
// K times the rows, and each η has thin products of its own. One pass over K times the batch at one η does the same work with one
// product where K would be needed, so that its time over K passes' is the least that sharing could come to.
import { Batch, createModel, Direction } from "../dist/index.js";
import { factorsOf, processorRatio, tokenData } from "./shared/processor.mjs";
import { figure, writeResults } from "./shared/results.mjs";

const count = 4;
const shapes = {
  "10 M": { n_embd: 256, n_layer: 8, n_head: 4, vocab_size: 8192 },
  "124 M": { n_embd: 768, n_layer: 12, n_head: 12, vocab_size: 50257 },
};

const rows = [];
for (const [name, shape] of Object.entries(shapes)) {
  const model = await createModel({ model_type: "gpt2", n_positions: 512, ...shape });
  const direction = Direction.from(model, factorsOf(model));
  const rates = Array.from({ length: count }, (_, k) => 1e-3 * 2 ** k);
  for (const length of [64, 512]) {
    const one = Batch.tokens(tokenData(1, length, shape.vocab_size));
    const all = Batch.tokens(tokenData(count, length, shape.vocab_size));
    const apart = async () => {
      for (const learningRate of rates) await model.loss(one, { perturbation: { direction, learningRate } });
    };
    const together = () => model.loss(all, { perturbation: { direction, learningRate: rates[0] } });
    const measured = await processorRatio(together, apart);
    rows.push({
      what: `${count} η of an adapter in one pass, at best ÷ ${count} passes, ${length} tokens, ${name}`,
      bar: "≤ 0.6 to be built",
      measured: figure(measured),
      met: measured <= 0.6,
      detail: `GPT-2 of ${figure(model.parameterCount / 1e6)} M, rank 8`,
    });
    one.dispose();
    all.dispose();
  }
  direction.dispose();
  model.dispose();
}

await writeResults("adapter-lines", "Several η of an adapter in one pass", rows);
