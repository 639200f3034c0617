// What a line along an adapter takes: `node bench/adapter-lines.mjs`. Its memory beside the model's own passes; and whether several η of
// it are worth one pass. Of K η in one pass, W is read once for K times the rows, and each η has thin products of its own. One pass
// over K times the batch at one η does the same work with one product where K would be needed, so that its time over K passes' is the
// least that sharing could come to.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Batch, createModel, criticalSharpness, Direction, loadModel } from "../dist/index.js";
import { exactMemory, peak, peakOf } from "./shared/peak.mjs";
import { factorsOf, processorRatio, tokenData } from "./shared/processor.mjs";
import { figure, writeResults } from "./shared/results.mjs";

const count = 4;
const shapes = {
  "10 M": { n_embd: 256, n_layer: 8, n_head: 4, vocab_size: 8192 },
  "124 M": { n_embd: 768, n_layer: 12, n_head: 12, vocab_size: 50257 },
};
const bases = () => Object.entries(shapes);
const configurationOf = (shape) => ({ model_type: "gpt2", n_positions: 512, ...shape });

async function passes(rows) {
  for (const [name, shape] of bases()) {
    const model = await createModel(configurationOf(shape));
    const direction = Direction.from(model, factorsOf(model));
    const rates = Array.from({ length: count }, (_, k) => 1e-3 * 2 ** k);
    for (const length of [64, 512]) {
      const one = Batch.tokens(tokenData(1, length, shape.vocab_size));
      const all = Batch.tokens(tokenData(count, length, shape.vocab_size));
      const apart = async () => {
        for (const learningRate of rates)
          await model.loss(one, { perturbation: { direction, learningRate } });
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
}

/** In a process of its own: its peak after passes of the model, and after a measurement along an adapter as well. */
async function measureMemory(folder, shape) {
  const { vocab_size: vocabulary } = shapes[shape];
  const model = await loadModel(folder);
  const batch = Batch.tokens(tokenData(1, 256, vocabulary));
  for (let i = 0; i < 3; i++) await model.loss(batch);
  const before = peak();
  const after = await peakOf(async () => {
    const direction = Direction.from(model, factorsOf(model));
    await direction.norm();
    await criticalSharpness({ model, batch, direction, slope: 1e-3, allow: 0.01 });
  });
  console.log(JSON.stringify({ before, after: Math.max(before, after) }));
}

async function memory(rows) {
  for (const [name, shape] of bases()) {
    const folder = mkdtempSync(path.join(os.tmpdir(), "adapter-"));
    const model = await createModel(configurationOf(shape));
    await model.save(folder);
    model.dispose();
    const { stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), folder, name], {
      encoding: "utf8",
      env: { ...process.env, ...exactMemory },
    });
    rmSync(folder, { recursive: true });
    const { before, after } = JSON.parse(stdout);
    rows.push({
      what: `peak of a process that measures along an adapter ÷ that of the model's own passes, ${name}`,
      bar: "≤ 1.05",
      measured: figure(after / before),
      met: after <= 1.05 * before,
      detail: `rank 8 of all matrices of the layers, ${figure(before / 2 ** 20)} MiB before`,
    });
  }
}

const [folder, name] = process.argv.slice(2);
if (folder) await measureMemory(folder, name);
else {
  const rows = [];
  await memory(rows);
  await passes(rows);
  await writeResults("adapter-lines", "A line along an adapter", rows);
}
