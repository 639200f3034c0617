import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { loadTokenizer } from "../../../lib/data/tokenizers.js";
import { Batch, loadModel } from "../../../lib/models/index.js";
import { relative } from "../../golden/golden.js";

const data = process.env.CRITICAL_SHARPNESS_DATA ?? path.join(import.meta.dirname, "../../../../shared/data");
const folder = path.join(data, "stories260k");
const present = existsSync(path.join(folder, "model.safetensors"));
if (!present)
  console.log(`skipped: no pretrained model in ${folder}; CRITICAL_SHARPNESS_DATA names the folder`);
const golden: { stories: number; length: number; loss: number } = JSON.parse(
  readFileSync(path.join(import.meta.dirname, "stories.json"), "utf8"),
);

/** The first tokens of the first stories, each after the token that begins a text. */
async function stories(): Promise<Batch> {
  const { stories, length } = golden;
  const tokenizer = await loadTokenizer(path.join(folder, "tokenizer.json"));
  const lines = readFileSync(path.join(folder, "sampled-stories.jsonl"), "utf8")
    .split("\n")
    .slice(0, stories);
  const labels = lines.map((line) => Array.from(tokenizer.encode(JSON.parse(line).text)).slice(0, length));
  const inputIds = labels.map((ids) => [1, ...ids.slice(0, -1)]);
  return Batch.tokens({ inputIds: inputIds.flat(), labels: labels.flat(), shape: [stories, length] });
}

test.skipIf(!present).each([
  ["float64", 1e-12],
  ["float32", 2e-6],
] as const)("a pretrained Llama has transformers' loss on its own stories, %s", async (dtype, tolerance) => {
  const model = await loadModel(folder, { dtype });
  expect(model.parameterCount).toBe(260_032);
  expect(relative(await model.loss(await stories()), golden.loss)).toBeLessThan(tolerance);
});
