// λc of every block of a model of 12 layers: what it costs where passes begin behind the layers that Δ leaves as they are, beside as many
// passes from the beginning. `node bench/blocks.mjs`
import { AdamW, Batch, createModel, NoiseMemory, SharpnessMeter } from "../dist/index.js";
import { parameterParts } from "../dist/models/parameters.js";
import { tokenData } from "./shared/processor.mjs";
import { figure, spread, writeResults } from "./shared/results.mjs";
import { median, quantile } from "./shared/timing.mjs";

const shapes = {
  "12 × 256, vocabulary 8,192": { n_embd: 256, vocab_size: 8192 },
  "12 × 256, bytes": { n_embd: 256, vocab_size: 256 },
  "12 × 384, vocabulary 8,192": { n_embd: 384, vocab_size: 8192 },
};
const rounds = 3;

const rows = [];
for (const [name, shape] of Object.entries(shapes))
  await measure(name, { model_type: "gpt2", n_positions: 256, n_layer: 12, n_head: 8, ...shape });

async function measure(name, config) {
  const model = await createModel(config, { seed: 1 });
  const batch = Batch.tokens(tokenData(4, 256, config.vocab_size));
  const optimizer = new AdamW(model, { learningRate: 1 });
  for (let i = 0; i < 3; i++) await optimizer.accumulateFrom(batch);
  const known = await optimizer.accumulateFrom(batch);
  const direction = await optimizer.direction();
  const parts = Object.values(parameterParts(model.parameters, "blocks"));
  const slopeOf = (names) =>
    known.slopes.reduce((sum, slope, i) => (names.includes(model.parameters[i].name) ? sum + slope : sum), 0);
  const noise = new NoiseMemory();
  const meters = {};
  /** The line of each block, warm from the second time on. */
  const sweep = async (perturbation) => {
    meters[perturbation] ??= parts.map(
      () => new SharpnessMeter({ perturbation, initialLearningRate: 0.1 }, noise),
    );
    const started = performance.now();
    const found = [];
    for (const [i, names] of parts.entries()) {
      const part = direction.mask(names);
      const line = { slope: slopeOf(names), baseLoss: known.loss, gradientNorm: known.norm };
      found.push(await meters[perturbation][i].measure({ model, batch, direction: part, ...line }));
      part.dispose();
    }
    return { found, seconds: (performance.now() - started) / 1000 };
  };
  await sweep("view");
  await sweep("in-place");
  const ratios = [];
  let [passes, same] = [0, true];
  for (let round = 0; round < rounds; round++) {
    const { found, seconds } = await sweep("view");
    // Passes in place begin at the beginning.
    const other = (await sweep("in-place")).found;
    same &&= found.every((one, i) => one.criticalLearningRate === other[i].criticalLearningRate);
    const times = [];
    for (let i = 0; i < 6; i++) {
      const started = performance.now();
      await model.loss(batch, { perturbation: { direction, learningRate: 1e-4 } });
      times.push((performance.now() - started) / 1000);
    }
    passes = found.reduce((sum, one) => sum + one.forwardPasses, 0);
    ratios.push(seconds / (passes * median(times)));
  }
  const measured = { median: median(ratios), low: quantile(ratios, 0), high: quantile(ratios, 1) };
  rows.push({
    what: `λc of 14 blocks ÷ as many passes from the beginning, GPT-2 of ${name}`,
    bar: "≤ 0.60",
    measured: spread(measured),
    met: measured.median <= 0.6,
    detail: `4 × 256 tokens, ${figure(passes)} passes; λc ${same ? "the same bits" : "other"} as in place, where every pass begins at the beginning; ${rounds} rounds`,
  });
  for (const one of [direction, optimizer, batch, model]) one.dispose();
}
await writeResults("blocks", "λc of every block", rows);
