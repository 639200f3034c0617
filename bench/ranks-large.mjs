// One step of the protocol for checkpoints on a model of 1.5 billion parameters over several ranks, in float32: AdamW's moments from one
// batch, then λc along Δ of the next. One process takes 24.4 GB, of which 6 are the mapped weights; needs 6 GB of disk and
// `npm run build`. Arguments: numbers of ranks; by default 1, 2, 4.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Batch, createModel, frozenSharpness, joinGroup, loadModel } from "../dist/index.js";
import { native } from "../dist/torch/index.js";
import { olmo2 } from "./shared/models.mjs";
import { peak, resident } from "./shared/peak.mjs";
import { tokenData } from "./shared/processor.mjs";
import { over } from "./shared/ranks.mjs";
import { figure, writeResults } from "./shared/results.mjs";

/** That of OLMo-2 1B. */
const config = olmo2({ vocab_size: 100352, num_hidden_layers: 16, tie_word_embeddings: false });
const [rows, length] = [4, 64];
const self = fileURLToPath(import.meta.url);

/** A rank's part, in a process of its own. */
async function measure({ model: folder, out }) {
  const group = await joinGroup();
  await native().info();
  const before = await resident();
  const model = await loadModel(folder, { group });
  const batch = Batch.tokens(tokenData(rows, length, config.vocab_size));
  const start = performance.now();
  const result = await frozenSharpness({
    model,
    batches: [batch, batch],
    optimizer: { type: "adamw", betas: [0.9, 0.95], weightDecay: 0.1 },
    accumulate: 1,
    measure: 1,
    microBatch: 1,
    recompute: true,
  });
  const seconds = (performance.now() - start) / 1000;
  const { criticalSharpness, status, forwardPasses } = result.batches[0].measurement;
  const found = { peak: peak() - before, seconds, criticalSharpness, status, forwardPasses };
  writeFileSync(path.join(out, `${group.rank}.json`), JSON.stringify(found));
}

const gigabytes = (bytes) => `${figure(bytes / 1e9)} GB`;

/** @param kept a folder with the model, which is left there; by default it is made and removed */
async function main(counts, kept) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-ranks-"));
  try {
    const model = kept ?? path.join(folder, "model");
    if (!existsSync(model)) {
      const made = await createModel(config, { seed: 1 });
      await made.save(model);
      made.dispose();
    }
    const found = [];
    for (const count of counts) {
      const ranks = await over(self, count, count === 1 ? 2 : 1, { folder, model });
      const most = Math.max(...ranks.map((one) => one.peak));
      console.error(count, gigabytes(most), ranks[0]);
      found.push({ count, most, ...ranks[0] });
    }
    const [one, ...others] = found;
    const bars = { 2: 0.6, 4: 0.35 };
    const detail = `OLMo-2's 1B configuration with random weights, ${rows} × ${length} tokens, one accumulated batch and one measured`;
    await writeResults("ranks-large", "One protocol step on 1.5 billion parameters over several ranks", [
      ...others.map(({ count, most, seconds }) => ({
        what: `peak of a rank beside libtorch, ${count} ranks ÷ 1`,
        bar: `≤ ${bars[count]}`,
        measured: figure(most / one.most),
        met: most / one.most <= bars[count],
        detail: `${gigabytes(most)} against ${gigabytes(one.most)}; ${detail}; ${figure(seconds)} s against ${figure(one.seconds)} s`,
      })),
      {
        what: "λc over any number of ranks",
        bar: "equal in bits",
        measured: found.map((each) => figure(each.criticalSharpness)).join(", "),
        met: found.every((each) => each.criticalSharpness === one.criticalSharpness),
        detail: `${one.status}, ${one.forwardPasses} forward passes`,
      },
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [argument, ...more] = process.argv.slice(2);
if (argument?.startsWith("{")) await measure(JSON.parse(argument));
else
  await main(
    argument ? [argument, ...more].map(Number) : [1, 2, 4],
    process.env.CRITICAL_SHARPNESS_LARGE_MODEL,
  );
