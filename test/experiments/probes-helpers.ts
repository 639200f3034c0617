import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { random } from "../../lib/data/index.js";
import type { ProbesRecord } from "../../lib/experiments/index.js";
import { createModel, loadBatch } from "../../lib/models/index.js";
import { int64, pack, safetensors } from "../models/files.js";

const config = {
  model_type: "gpt2",
  vocab_size: 32,
  n_positions: 8,
  n_embd: 8,
  n_layer: 1,
  n_head: 2,
} as const;

/** A probe as examples/python/critical_sharpness_probe.py writes it, its Δ the gradient of its batch. */
export async function makeProbe(folder: string, step: number, learningRate = 0.1): Promise<string> {
  const final = path.join(folder, `step-${String(step).padStart(6, "0")}`);
  const part = path.join(folder, `.${path.basename(final)}`);
  mkdirSync(part, { recursive: true });
  using model = await createModel(config, { seed: step });
  await model.save(part);
  const { uniform } = random(`probe ${step}`);
  const ids = () =>
    int64(
      [3, 8],
      Array.from({ length: 24 }, () => Math.floor(32 * uniform())),
    );
  const batchFile = path.join(part, "batch.safetensors");
  writeFileSync(batchFile, pack({ input_ids: ids(), labels: ids() }, { labels: "shifted" }));
  using batch = await loadBatch(batchFile);
  const { gradient } = await model.gradient(batch);
  using direction = gradient;
  const file = path.join(part, "direction.safetensors");
  await direction.save(file);
  const bytes = readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, end));
  header.__metadata__ = { step: String(step), learning_rate: String(learningRate) };
  writeFileSync(file, safetensors(header, bytes.subarray(end)));
  renameSync(part, final);
  return final;
}

export async function makeProbes(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await makeProbe(folder, 10 * i, 0.1 / (i + 1));
}

export function readProbesRecords(directory: string): ProbesRecord[] {
  const lines = readFileSync(path.join(directory, "metrics.jsonl"), "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}
