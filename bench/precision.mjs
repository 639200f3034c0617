// ηc in each precision against that in float64, along the same AdamW's Δ, on small language models with weights that bfloat16 has.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { AdamW, Batch, createModel, criticalSharpness, Direction, loadModel } from "../dist/index.js";
import { figure, writeResults } from "./shared/results.mjs";

const common = {
  vocab_size: 512,
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 3,
  max_position_embeddings: 64,
};
const heads = {
  num_attention_heads: 4,
  num_key_value_heads: 4,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
};
const models = {
  "OLMo-2": { model_type: "olmo2", ...common, ...heads },
  Llama: { model_type: "llama", ...common, ...heads, tie_word_embeddings: true },
  "GPT-2": { model_type: "gpt2", vocab_size: 512, n_positions: 64, n_embd: 128, n_layer: 3, n_head: 4 },
};
const precisions = [
  { name: "float32", options: {}, bar: 0.01 },
  { name: "bfloat16 compute", options: { dtype: "bfloat16" }, bar: 0.04 },
  { name: "bfloat16 weights", options: { dtype: "bfloat16", parameterDtype: "bfloat16" }, bar: 0.04 },
  { name: "bfloat16 weights, float32 compute", options: { parameterDtype: "bfloat16" }, bar: 0.01 },
];

function textBatch() {
  // Tokens that a model can learn: each follows from the one before, but for one in eight.
  let state = 7;
  const next = (before, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return i % 8 === 0 ? state % 512 : (5 * before + 3) % 512;
  };
  const rows = Array.from({ length: 16 }, () => {
    const row = [0];
    for (let i = 0; i < 64; i++) row.push(next(row[i], i));
    return row;
  });
  const tokens = (from) => BigInt64Array.from(rows.flatMap((row) => row.slice(from, from + 64)).map(BigInt));
  return Batch.tokens({ inputIds: tokens(0), labels: tokens(1), shape: [16, 64] });
}

/** What is measured in one precision along a Δ: one from a file, or that of its own gradient. */
async function measured(model, batch, file) {
  const optimizer = new AdamW(model, { learningRate: 1, betas: [0.9, 0.95], weightDecay: 0.1 });
  const gradient = await model.gradient(batch);
  await optimizer.accumulate(gradient);
  const direction = file ? await Direction.load(file, model) : await optimizer.direction();
  const found = await criticalSharpness({ model, batch, direction, gradient, tolerance: 1e-3 });
  return { ...found, direction, baseLoss: gradient.loss };
}

/** Root mean square of the losses' relative errors around ηc. */
async function lossError(model, found, exactModel, exact, batch) {
  let sum = 0;
  const places = Array.from({ length: 12 }, (_, i) => 0.5 + i / 20);
  for (const place of places) {
    const learningRate = place * exact.criticalLearningRate;
    const loss = (m, { direction }) => m.loss(batch, { perturbation: { direction, learningRate } });
    sum += ((await loss(model, found)) / (await loss(exactModel, exact)) - 1) ** 2;
  }
  return Math.sqrt(sum / places.length);
}

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-precision-"));
const batch = textBatch();
const rows = [];
try {
  for (const [name, config] of Object.entries(models))
    for (const steps of [0, 15, 60]) {
      const [trained, rounded] = ["trained", "rounded"].map((part) => path.join(folder, part));
      const start = await createModel(config, { seed: 3 });
      const optimizer = new AdamW(start, { learningRate: 3e-3, betas: [0.9, 0.95] });
      for (let i = 0; i < steps; i++) {
        await optimizer.accumulateFrom(batch);
        await optimizer.step();
      }
      await start.save(trained);
      // Rounded once, so that every precision has the same weights.
      await (await loadModel(trained, { parameterDtype: "bfloat16" })).save(rounded);
      const exactModel = await loadModel(rounded, { dtype: "float64" });
      const exact = await measured(exactModel, batch);
      const file = path.join(folder, "direction.safetensors");
      await exact.direction.save(file);
      for (const { name: precision, options, bar } of precisions) {
        const model = await loadModel(rounded, options);
        const found = await measured(model, batch, file);
        const own = await measured(model, batch);
        const apart = ({ criticalLearningRate: rate }) => Math.abs(rate / exact.criticalLearningRate - 1);
        const percent = (part) => `${figure(100 * part)} %`;
        const audible = found.noise > bar;
        rows.push({
          what: `ηc in ${precision} against float64, ${name} after ${steps} steps`,
          bar: audible
            ? `≤ ${percent(bar)}, but the result says that its noise is above`
            : `≤ ${percent(bar)}`,
          measured: percent(apart(found)),
          met: audible ? null : apart(found) <= bar,
          detail: `along the Δ of float64, ε = 1e-3, L(θ) ${figure(exact.baseLoss)}, ηc ${figure(exact.criticalLearningRate)}; noise in the result ${percent(found.noise)}; losses around ηc are ${figure(await lossError(model, found, exactModel, exact, batch))} off (relative, r.m.s.); along the precision's own first Δ, in which AdamW keeps little but the signs of the gradient, ηc is ${percent(apart(own))} off`,
        });
      }
    }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
await writeResults("precision", "Critical learning rates in each precision", rows);
