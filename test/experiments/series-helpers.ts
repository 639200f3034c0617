import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { SeriesConfigurationInput, SeriesRecord } from "../../lib/experiments/index.js";
import { createModel } from "../../lib/models/index.js";

/** Tiny language models on bytes, as checkpoints step1, step2 and so on. */
export async function makeCheckpoints(folder: string, count: number, { width = 8 } = {}): Promise<string[]> {
  const config = {
    model_type: "gpt2",
    vocab_size: 256,
    n_positions: 16,
    n_embd: width,
    n_layer: 2,
    n_head: 2,
  } as const;
  const made: string[] = [];
  for (let step = 1; step <= count; step++) {
    const directory = path.join(folder, `step${step}`);
    mkdirSync(directory, { recursive: true });
    using model = await createModel(config, { seed: step });
    await model.save(directory);
    made.push(directory);
  }
  return made;
}

/** A text to measure them on. */
export function textFile(folder: string): string {
  const file = path.join(folder, "text.jsonl");
  const line = (i: number) =>
    JSON.stringify({ text: `Line ${i}: it was the best of times, it was the worst of times.` });
  writeFileSync(file, Array.from({ length: 40 }, (_, i) => `${line(i)}\n`).join(""));
  return file;
}

/** A checkpoint of these takes some milliseconds. */
export function smallSeries(text: string) {
  return {
    data: text,
    batch: { size: 2 },
    accumulate: 2,
    measure: 3,
  } satisfies SeriesConfigurationInput;
}

export function readSeriesRecords(directory: string): SeriesRecord[] {
  return readFileSync(path.join(directory, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}
