// λc of every block of a model of 12 layers: what it costs where passes begin behind the layers that Δ leaves as they are, beside as many
// passes from the beginning. `node bench/blocks.mjs`
import { AdamW, Batch, createModel, NoiseMemory, SharpnessMeter } from "../dist/index.js";
import { parameterParts } from "../dist/models/parameters.js";
import { tokenData } from "./shared/processor.mjs";
import { spread, writeResults } from "./shared/results.mjs";
import { median, quantile } from "./shared/timing.mjs";

const shapes = {
  "12 × 256, vocabulary 8,192": { n_embd: 256, vocab_size: 8192 },
  "12 × 256, bytes": { n_embd: 256, vocab_size: 256 },
};
const rounds = 5;
/** Of a line, as a rule. */
const passes = 3;

const rows = [];
for (const [name, shape] of Object.entries(shapes))
  await measure(name, { model_type: "gpt2", n_positions: 256, n_layer: 12, n_head: 8, ...shape });

async function measure(name, config) {
  const model = await createModel(config, { seed: 1 });
  const batch = Batch.tokens(tokenData(4, 128, config.vocab_size));
  const optimizer = new AdamW(model, { learningRate: 1 });
  // Where nothing is learnt, no step of a layer raises the loss.
  for (let i = 0; i < 30; i++) {
    await optimizer.accumulateFrom(batch);
    await optimizer.step({ learningRate: 1e-3 });
  }
  const known = await optimizer.accumulateFrom(batch);
  const direction = await optimizer.direction();
  const parts = Object.values(parameterParts(model.parameters, "blocks"));
  const slopeOf = (names) =>
    known.slopes.reduce((sum, slope, i) => (names.includes(model.parameters[i].name) ? sum + slope : sum), 0);
  /** λc of each block, searched by passes that begin where Δ begins, or in place, where every pass begins at the beginning. */
  const searched = async (perturbation) => {
    const noise = new NoiseMemory();
    const found = [];
    for (const names of parts) {
      const part = direction.mask(names);
      const line = { slope: slopeOf(names), baseLoss: known.loss, gradientNorm: known.norm };
      const meter = new SharpnessMeter({ perturbation, initialLearningRate: 0.01 }, noise);
      found.push(JSON.stringify(await meter.measure({ model, batch, direction: part, ...line })));
      part.dispose();
    }
    return found.join();
  };
  const same = (await searched("view")) === (await searched("in-place"));
  const pass = async (along, i) => {
    await model.loss(batch, { perturbation: { direction: along, learningRate: 0.01 * (i + 1) } });
  };
  const seconds = async (body) => {
    const started = performance.now();
    await body();
    return (performance.now() - started) / 1000;
  };
  const ratios = [];
  for (let round = 0; round < rounds + 1; round++) {
    const whole = await seconds(async () => {
      for (let i = 0; i < passes * parts.length; i++) await pass(direction, i % passes);
    });
    const sweep = await seconds(async () => {
      for (const names of parts) {
        const part = direction.mask(names);
        for (let i = 0; i < passes; i++) await pass(part, i);
        part.dispose();
      }
    });
    // The first round warms up.
    if (round > 0) ratios.push(sweep / whole);
  }
  const measured = { median: median(ratios), low: quantile(ratios, 0), high: quantile(ratios, 1) };
  rows.push({
    what: `λc of 14 blocks ÷ as many passes from the beginning, GPT-2 of ${name}`,
    bar: "≤ 0.60",
    measured: spread(measured),
    met: measured.median <= 0.6,
    detail: `4 × 128 tokens, ${passes} passes a block; λc ${same ? "the same bits" : "other bits"} as in place, where every pass begins at the beginning; ${rounds} pairs`,
  });
  for (const one of [direction, optimizer, batch, model]) one.dispose();
}
await writeResults("blocks", "λc of every block", rows);
