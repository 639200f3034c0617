// Writes configurations that mix a pretrained model's own stories with GSM8K, judged by MMLU too:
// node examples/data-mix/stories.mjs ../shared/data runs/stories
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

const [data = process.env.CRITICAL_SHARPNESS_DATA ?? "../shared/data", folder = "runs/stories"] =
  process.argv.slice(2);
const within = (name) => path.resolve(data, name);
// The model was pretrained on stories that a first token tells apart, and has seen no end-of-text token.
const texts = (file, how) => ({ data: { files: [within(file)], endOfText: false, ...how } });
const mix = {
  model: within("stories260k"),
  sources: {
    stories: texts("stories260k/sampled-stories.jsonl"),
    gsm8k: texts("gsm8k/train.jsonl", { template: "{question}\n{answer}", limit: 1_000_000 }),
  },
  vary: "stories",
  tasks: { mmlu: texts("mmlu/test.jsonl", { template: "{question}\n{choices}", limit: 300_000 }) },
  batch: { size: 8, sequence: 512, documents: "apart" },
  evaluate: { size: 8 },
  accumulate: 10,
  repeats: 8,
  train: {
    ratios: [0, 0.2, 0.4, 0.6, 0.8, 1],
    steps: 10,
    batches: 8,
    choices: { mmlu: { files: [within("mmlu/dev.jsonl")], limit: 100 } },
  },
};
/** As files are read by default: one document after the other, with an end-of-text token, cut into short sequences. */
const joined = structuredClone(mix);
for (const { data } of [...Object.values(joined.sources), ...Object.values(joined.tasks)])
  delete data.endOfText;
joined.batch = { size: 24, sequence: 128 };
joined.evaluate = { size: 24 };
mkdirSync(folder, { recursive: true });
for (const [name, configuration] of Object.entries({ whole: mix, joined })) {
  writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(configuration, null, 2)}\n`);
  console.log(`${name}.json`);
}
