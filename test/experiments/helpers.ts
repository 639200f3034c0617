import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import type { MetricsRecord, TrainConfigurationInput } from "../../lib/experiments/index.js";

/** A folder of this test file's own, removed after its tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A small perceptron on synthetic data: a step takes about a millisecond. */
export const mlpRun = {
  model: { model_type: "mlp", layer_sizes: [6, 16, 3], activation: "tanh", loss: "mse" },
  data: { type: "synthetic", task: "regression", count: 200, features: 6, outputs: 3 },
  batch: { size: 20 },
  optimizer: { type: "sgd", learningRate: 0.1, momentum: 0.9 },
  steps: 12,
  seed: 1,
  validation: { every: 5, batches: 2 },
  checkpoint: { every: 4 },
} satisfies TrainConfigurationInput;

/** A small language model on a text file. */
export function gptRun(text: string) {
  return {
    model: { model_type: "gpt2", vocab_size: 256, n_positions: 16, n_embd: 16, n_layer: 2, n_head: 2 },
    data: { type: "text", files: [text] },
    batch: { size: 4, microBatch: 3 },
    optimizer: { type: "adamw", learningRate: 0.003, betas: [0.9, 0.95], weightDecay: 0.1 },
    schedule: { type: "warmup-stable-decay", warmup: 0.25, decay: 0.25 },
    steps: 12,
    measure: { every: 2 },
    landscape: { points: 5 },
    validation: { every: 5, batches: 2 },
    checkpoint: { every: 4 },
  } satisfies TrainConfigurationInput;
}

export function readMetrics(directory: string): MetricsRecord[] {
  return readFileSync(path.join(directory, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Everything but the times, which are no two times the same. */
export function withoutSeconds(records: MetricsRecord[]): unknown {
  return JSON.parse(JSON.stringify(records, (key, value) => (key === "seconds" ? undefined : value)));
}
