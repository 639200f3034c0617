import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  parseConfiguration,
  readConfiguration,
  type TrainConfigurationInput,
  train,
} from "../../lib/index.js";
import { gptRun, mlpRun } from "../experiments/helpers.js";
import { each, fileOf, folderOf, type Row, type World } from "./world.js";

const parse = (change: object) => parseConfiguration({ ...mlpRun, ...change });
const within = (section: "data" | "batch" | "optimizer", change: object) =>
  parse({ [section]: { ...mlpRun[section], ...change } });
const gptText = gptRun("text.txt");
const schedule = (change: object) =>
  parseConfiguration({ ...gptText, schedule: { ...gptText.schedule, ...change } });

/** parseConfiguration, readConfiguration; their own tests have the messages. */
export const configurationRows: Row[] = [
  ...each("a configuration", [undefined, null, 3, "run.json", [], {}], (input) => parseConfiguration(input)),
  ["a run's key of unknown meaning", () => parse({ stepz: 1 })],
  ...each("steps", [0, -1, 1.5, NaN, "10", null], (steps) => parse({ steps })),
  ...each("seed of a run", [-1, 0.5, "1", null], (seed) => parse({ seed })),
  ...each("dtype of a run", ["float16", 32, null], (dtype) => parse({ dtype })),
  ...each(
    "model of a run",
    [undefined, null, "gpt2", {}, { directory: "" }, { directory: 3 }, { directory: "a", seed: 1 }],
    (model) => parse({ model }),
  ),
  ...each("layer_sizes of a run", [[6], [6, "3"], null], (layer_sizes) =>
    parse({ model: { ...mlpRun.model, layer_sizes } }),
  ),
  ...each(
    "data",
    [
      undefined,
      null,
      "text",
      {},
      { type: "web" },
      { type: "text" },
      { type: "text", files: [] },
      { type: "jsonl", files: ["a"], field: "" },
      { type: "tokens", files: ["a"], dtype: "int8" },
    ],
    (data) => parse({ data }),
  ),
  ["a key that another kind of data has", () => within("data", { files: ["a"] })],
  ...each("batch.size", [0, 1.5, "8", undefined], (size) => within("batch", { size })),
  ...each("batch.microBatch", [0, "1", null], (microBatch) => within("batch", { microBatch })),
  ...each(
    "optimizer of a run",
    [undefined, null, "sgd", {}, { type: "adam", learningRate: 1 }],
    (optimizer) => parse({ optimizer }),
  ),
  ...each("optimizer.learningRate", [0, -1, "1", undefined, NaN], (learningRate) =>
    within("optimizer", { learningRate }),
  ),
  ...each("optimizer.momentum", [1, -0.1, "0.9"], (momentum) => within("optimizer", { momentum })),
  ["AdamW's betas with SGD", () => within("optimizer", { betas: [0.9, 0.99] })],
  ...each("optimizer.groups", ["all", [{}], [{ parameters: [] }]], (groups) =>
    within("optimizer", { groups }),
  ),
  ...each("schedule", [null, "cosine", {}, { type: "linear" }], (value) => parse({ schedule: value })),
  ...each("schedule.warmup", [-1, 13, 1.5, "2", null], (warmup) => schedule({ warmup })),
  ...each("schedule.decay", [-1, 12, undefined], (decay) => schedule({ decay })),
  ...each("schedule.shape", ["step", 1], (shape) => schedule({ shape })),
  ["an η at the end above that at the top", () => schedule({ finalLearningRate: 1 })],
  ...each(
    "measure",
    [false, 3, { every: 0 }, { tolerance: 1 }, { method: "newton" }, { perturbation: "copy" }],
    (measure) => parse({ measure }),
  ),
  ...each("landscape", [true, { step: 13 }, { points: 1 }, { extent: 0 }], (landscape) =>
    parse({ landscape }),
  ),
  ...each("validation", [3, { fraction: 0 }, { fraction: 1 }, { batches: 0 }], (validation) =>
    parse({ validation }),
  ),
  ...each("checkpoint", [null, { every: 0 }, { each: 1 }], (checkpoint) => parse({ checkpoint })),
  ...each("readConfiguration of", [undefined, null, 3, ""], (file) => readConfiguration(file)),
  ["a configuration from nowhere", ({ folder }) => readConfiguration(path.join(folder, "nowhere.json"))],
  ["a configuration from a folder", ({ folder }) => readConfiguration(folder)],
  ...each("a configuration file", ["", "{", "null", "[]", "steps: 3", '{"steps":1}'], (text, w) =>
    readConfiguration(fileOf(w, text)),
  ),
];

const run = (world: World, change: object, options: object = {}) =>
  train(
    { ...mlpRun, steps: 2, ...change } as TrainConfigurationInput,
    {
      directory: path.join(folderOf(world, {}), "run"),
      ...options,
    } as never,
  );
const text = (world: World, change: object) =>
  run(world, {
    ...gptRun(fileOf(world, "A text of forty bytes and a little more.")),
    steps: 2,
    validation: null,
    ...change,
  });
/** A run directory whose run ended, changed. */
async function ended(world: World, change: (directory: string) => void): Promise<string> {
  const directory = folderOf(world, {});
  await train({ ...mlpRun, steps: 2 }, { directory });
  change(directory);
  return directory;
}

const writeFile = (directory: string, name: string, content: string) =>
  writeFileSync(path.join(directory, name), content);

/** train. */
export const trainRows: Row[] = [
  ...each("train's options", [undefined, null, "runs", {}], (options) => train(mlpRun, options)),
  ...each("directory of a run", [3, "", null, "a\0b"], (directory, w) => run(w, {}, { directory })),
  ...each("signal of a run", [null, {}], (signal, w) => run(w, {}, { signal })),
  ...each("onProgress", [null, "bar"], (onProgress, w) => run(w, {}, { onProgress })),
  ...each("fresh", [1, "yes", null], (fresh, w) => run(w, {}, { fresh })),
  ["a configuration that is none", (w) => run(w, { steps: 0 })],
  ["a run directory that is a file", (w) => run(w, {}, { directory: import.meta.filename })],
  ["a run directory below a file", (w) => run(w, {}, { directory: path.join(import.meta.filename, "run") })],
  [
    "a directory with another config.json",
    (w) => run(w, {}, { directory: folderOf(w, { "config.json": "{}" }) }),
  ],
  [
    "a directory with a config.json that is no JSON",
    (w) => run(w, {}, { directory: folderOf(w, { "config.json": "{" }) }),
  ],
  ["a directory with another run", async (w) => run(w, { seed: 5 }, { directory: await ended(w, () => {}) })],
  [
    "a checkpoint whose state is damaged",
    async (w) => run(w, {}, { directory: await ended(w, (d) => writeFile(d, "checkpoint/state.json", "{")) }),
  ],
  [
    "a checkpoint whose meter is damaged",
    async (w) =>
      run(
        w,
        { steps: 2 },
        {
          directory: await ended(w, (d) =>
            writeFile(d, "checkpoint/state.json", '{"version":1,"step":1,"tokens":20,"meter":{"version":3}}'),
          ),
        },
      ),
  ],
  [
    "a checkpoint whose weights are cut short",
    async (w) =>
      run(w, {}, { directory: await ended(w, (d) => writeFile(d, "checkpoint/model.safetensors", "cut")) }),
  ],
  [
    "a checkpoint without its optimizer",
    async (w) =>
      run(
        w,
        {},
        { directory: await ended(w, (d) => rmSync(path.join(d, "checkpoint/optimizer.safetensors"))) },
      ),
  ],
  [
    "a model directory that is not there",
    (w) => run(w, { model: { directory: path.join(w.folder, "nowhere") } }),
  ],
  [
    "a model of other features than the data",
    (w) => run(w, { model: { ...mlpRun.model, layer_sizes: [5, 3] } }),
  ],
  [
    "a model of other outputs than the data",
    (w) => run(w, { model: { ...mlpRun.model, layer_sizes: [6, 4] } }),
  ],
  ["a classifier for a regression", (w) => run(w, { model: { ...mlpRun.model, loss: "cross_entropy" } })],
  ["a sequence of examples", (w) => run(w, { batch: { size: 2, sequence: 3 } })],
  ["a batch larger than the data", (w) => run(w, { batch: { size: 500 } })],
  ["a text for a perceptron", (w) => text(w, { model: mlpRun.model })],
  ["examples for a language model", (w) => run(w, { model: gptText.model })],
  ["a vocabulary smaller than the tokens", (w) => text(w, { model: { ...gptText.model, vocab_size: 100 } })],
  ["a sequence longer than the model's context", (w) => text(w, { batch: { size: 1, sequence: 17 } })],
  ["a text shorter than a sequence", (w) => text(w, { data: { type: "text", files: [fileOf(w, "short")] } })],
  [
    "a text that is not there",
    (w) => text(w, { data: { type: "text", files: [path.join(w.folder, "nowhere.txt")] } }),
  ],
  ["an empty text", (w) => text(w, { data: { type: "text", files: [fileOf(w, "")] } })],
  [
    "tokens past the vocabulary",
    (w) => text(w, { data: { type: "tokens", files: [fileOf(w, new Uint8Array(200).fill(255), "t.bin")] } }),
  ],
  ["images cut short", (w) => run(w, { data: { type: "cifar10", files: [fileOf(w, "image")] } })],
  [
    "groups of parameters that the model has not",
    (w) => run(w, { optimizer: { ...mlpRun.optimizer, groups: [{ parameters: ["wte"] }] } }),
  ],
  [
    "a learning rate that makes the training diverge",
    (w) =>
      run(w, { steps: 60, optimizer: { type: "sgd", learningRate: 1e30 }, measure: null, landscape: null }),
  ],
];
