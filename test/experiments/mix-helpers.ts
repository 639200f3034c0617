import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { random } from "../../lib/data/index.js";
import type { MixConfigurationInput, MixRecord } from "../../lib/experiments/index.js";
import { createModel } from "../../lib/models/index.js";

/** A tiny language model on bytes, two texts to mix, a third to judge, and questions. */
export async function makeMix(folder: string, { width = 8 } = {}) {
  const directory = path.join(folder, "model");
  mkdirSync(directory, { recursive: true });
  const config = {
    model_type: "gpt2",
    vocab_size: 256,
    n_positions: 16,
    n_embd: width,
    n_layer: 1,
    n_head: 2,
  } as const;
  using model = await createModel(config, { seed: 1 });
  await model.save(directory);
  const put = (name: string, lines: readonly unknown[]) => {
    const file = path.join(folder, name);
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return file;
  };
  const draw = random("mix test");
  const words = (list: readonly string[]) =>
    Array.from({ length: 60 }, () => ({
      text: Array.from({ length: 12 }, () => list[draw.below(list.length)]).join(" "),
    }));
  const old = put("old.jsonl", words(["thee", "thou", "hath", "doth", "verily"]));
  const fresh = put("fresh.jsonl", words(["42", "17 + 25", "= 9", "8 × 7", "0.5"]));
  const other = put("other.jsonl", words(["GATTACA", "CCGT", "TTAGGG"]));
  const questions = [0, 1, 2, 3].map((answer) => ({
    question: `Which is ${answer}?`,
    choices: ["zero", "one", "two", "three"],
    answer,
  }));
  const configuration = {
    model: directory,
    sources: { old: { data: old }, fresh: { data: fresh } },
    vary: "old",
    ratios: [0, 0.5, 1],
    tasks: { other: { data: other } },
    batch: { size: 2 },
    accumulate: 2,
    repeats: 2,
    train: {
      ratios: [0, 1],
      learningRates: [1e-4, 1e-2],
      steps: 2,
      batches: 2,
      choices: { questions: { files: [put("questions.jsonl", questions)] } },
    },
  } satisfies MixConfigurationInput;
  return { configuration, fresh };
}

export function readMixRecords(directory: string): MixRecord[] {
  return readFileSync(path.join(directory, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** The records as they are the same in every run. */
export function withoutTimes(records: readonly MixRecord[]): object[] {
  return records.map((record) =>
    Object.fromEntries(Object.entries(record).filter(([key]) => !/seconds/i.test(key))),
  );
}
