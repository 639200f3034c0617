import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { loadTokenizer } from "../../lib/data/tokenizers.js";
import { sweepMix } from "../../lib/experiments/index.js";
import { Batch, loadModel } from "../../lib/models/index.js";
import { hasRealData, realData } from "../data/real-data.js";
import { relative } from "../golden/golden.js";

const golden: {
  ratios: number[];
  batches: number;
  rows: number;
  judged: number;
  length: number;
  lines: { ratio: number; task: string; slope: number; criticalSharpness: number | null }[];
} = JSON.parse(readFileSync(path.join(import.meta.dirname, "mix-stories.json"), "utf8"));
const { batches, rows, judged, length } = golden;
const model = path.join(realData, "stories260k");
const there = hasRealData && existsSync(path.join(realData, "gsm8k/train.jsonl"));

interface Line {
  text: string;
  question: string;
  answer: string;
  choices: string[];
}
const texts: Record<"stories" | "gsm8k" | "mmlu", [file: string, text: (line: Line) => string]> = {
  stories: ["stories260k/sampled-stories.jsonl", ({ text }) => text],
  gsm8k: ["gsm8k/train.jsonl", ({ question, answer }) => `${question}\n${answer}`],
  mmlu: ["mmlu/test.jsonl", ({ question, choices }) => [question, ...choices].join("\n")],
};

/** Batches of texts from their beginning for the mixture, and one more that judges. */
async function read(name: keyof typeof texts): Promise<Batch[]> {
  const tokenizer = await loadTokenizer(path.join(model, "tokenizer.json"));
  const [file, text] = texts[name];
  const lines = readFileSync(path.join(realData, file), "utf8").split("\n", batches * rows + judged);
  const sequences = lines.map((line) =>
    Array.from(tokenizer.encodeDocument?.(text(JSON.parse(line)), { endOfText: false }) ?? []),
  );
  const padded = (ids: number[], filler: number) => [...ids, ...Array(length).fill(filler)].slice(0, length);
  const batch = (own: number[][]) =>
    Batch.tokens({
      inputIds: own.flatMap((ids) => padded(ids.slice(0, -1), 0)),
      labels: own.flatMap((ids) => padded(ids.slice(1), -100)),
      shape: [own.length, length],
    });
  const first = batches * rows;
  const mixed = Array.from({ length: batches }, (_, i) =>
    batch(sequences.slice(i * rows, (i + 1) * rows).map((ids) => ids.slice(0, length + 1))),
  );
  return [...mixed, batch(sequences.slice(first).map((ids) => ids.slice(0, length + 1)))];
}

test.skipIf(!there)(
  "slopes and λc of a pretrained Llama over a mix of stories and GSM8K are transformers'",
  async () => {
    const [stories, gsm8k, mmlu] = [await read("stories"), await read("gsm8k"), await read("mmlu")];
    const last = (all: Batch[]) => [all.at(-1) as Batch];
    using loaded = await loadModel(model, { dtype: "float64" });
    const { measurements } = await sweepMix({
      model: loaded,
      update: { varied: stories, rest: gsm8k },
      evaluate: { stories: last(stories), gsm8k: last(gsm8k), mmlu: last(mmlu) },
      ratios: golden.ratios,
      accumulate: batches,
      repeats: 1,
      optimizer: { type: "adamw", betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.1 },
      tolerance: 1e-7,
    });
    expect(measurements).toHaveLength(golden.lines.length);
    for (const { ratio, task, slope, criticalSharpness } of golden.lines) {
      const found = measurements.find((m) => m.ratio === ratio && m.task === task)?.measurement;
      // A gradient of nearly 0 makes AdamW's quotient sensitive to the last bits.
      expect(Math.abs((found?.slope as number) - slope), `${task} at ${ratio}`).toBeLessThan(1e-5);
      expect(found?.status).toBe(criticalSharpness === null ? "non-descent" : "converged");
      if (criticalSharpness !== null)
        expect(relative(found?.criticalSharpness as number, criticalSharpness)).toBeLessThan(1e-5);
    }
  },
);
