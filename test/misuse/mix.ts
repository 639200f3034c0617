import path from "node:path";
import {
  type MixConfigurationInput,
  MixtureBatches,
  measureMix,
  multipleChoiceQuestions,
  normalizedShares,
  parseMix,
  readMix,
  sweepMix,
  tokensInMemory,
  varyShare,
} from "../../lib/index.js";
import { each, fileOf, folderOf, type Row, type World } from "./world.js";

const streams = { a: tokensInMemory("a", new Uint8Array(40)), b: tokensInMemory("b", new Uint8Array(40)) };
const mixture = (sources: unknown, shares: unknown, change: object = {}) =>
  new MixtureBatches(sources as never, shares as never, { size: 2, sequence: 4, seed: 1, ...change });
const equal = { a: 1, b: 1 };

/** normalizedShares, varyShare, MixtureBatches, multipleChoiceQuestions. */
export const mixtureRows: Row[] = [
  ...each("normalizedShares of", [null, 3, {}, { a: 0 }, { a: -1 }, { a: "1" }, { a: Infinity }], (shares) =>
    normalizedShares(shares),
  ),
  ...each("the source that varies", ["c", 3, "toString"], (source) => varyShare(equal, source, 0.5)),
  ...each("the ratio of a source", [-0.1, 1.1, NaN, "0.5", null], (ratio) =>
    varyShare(equal, "a" as never, ratio),
  ),
  ["a source that varies alone", () => varyShare({ a: 1, b: 0 }, "a", 0.5)],
  ...each("sources of a mixture", [null, 3, {}, { a: 3, b: 3 }, { a: streams.a }], (sources) =>
    mixture(sources, equal),
  ),
  ["a source of a mixture without a share", () => mixture(streams, { a: 1 })],
  ...each("size of a mixture's batch", [0, 1.5, "2"], (size) => mixture(streams, equal, { size })),
  ...each("sequence of a mixture", [0, 100, "4"], (sequence) => mixture(streams, equal, { sequence })),
  ...each("a mixture's step", [0, 0.5, "1", undefined], (step) => mixture(streams, equal).training(step)),
  ...each("tokens of a mixture after", [-1, 0.5, null], (step) => mixture(streams, equal).tokensAfter(step)),
  ["a mixture's documents that nobody knows", () => mixture(streams, equal, { documents: "apart" })],
  ...each(
    "multiple-choice questions",
    [
      "",
      "{",
      "{}",
      '{"question":"a","choices":["b"],"answer":0}',
      '{"question":"a","choices":["b","c"],"answer":2}',
    ],
    (text, w) => multipleChoiceQuestions([fileOf(w, text, "questions.jsonl")]),
  ),
  ...each("the limit of questions", [0, 1.5, "3"], (limit) => multipleChoiceQuestions(["a"], limit)),
];

const sweep = ({ model, batch }: World, change: object) =>
  sweepMix({
    model,
    update: { varied: [batch], rest: [batch] },
    evaluate: { a: [batch] },
    ratios: [0, 1],
    repeats: 1,
    optimizer: { type: "sgd" },
    ...change,
  } as never);

/** sweepMix. */
export const mixSweepRows: Row[] = [
  ...each("sweepMix's options", [undefined, null, 3, {}], (options) => sweepMix(options)),
  ["sweepMix's option of unknown meaning", (w) => sweep(w, { vary: "a" })],
  ...each("model of a sweep", [undefined, null, {}, "gpt2"], (model, w) => sweep(w, { model })),
  ...each("update of a sweep", [undefined, null, 3, [], { varied: [] }], (update, w) => sweep(w, { update })),
  [
    "update of a sweep with a third part",
    (w) => sweep(w, { update: { varied: [w.batch], rest: [w.batch], more: [w.batch] } }),
  ],
  [
    "a sweep's batches of another model",
    (w) => sweep(w, { update: { varied: [w.batch], rest: [w.tokens] } }),
  ],
  ...each(
    "the rest of a sweep",
    [
      {},
      { b: [] },
      { b: { share: 0, batches: [] } },
      { b: { share: 1 } },
      { b: { share: 1, batches: [], more: 1 } },
    ],
    (rest, w) => sweep(w, { update: { varied: [w.batch], rest } }),
  ),
  [
    "the rest of a sweep that has too few rows",
    (w) => {
      const rest = [w.batch.rows(0, 1)];
      return sweep(w, { update: { varied: [w.batch], rest } });
    },
  ],
  ["a sweep's batches of a function that gives none", (w) => sweep(w, { evaluate: { a: () => undefined } })],
  ...each("tasks of a sweep", [undefined, null, {}, { a: 3 }, { a: [] }, { a: [3] }], (evaluate, w) =>
    sweep(w, { evaluate }),
  ),
  ["a sweep's task of another model", ({ ...w }) => sweep(w, { evaluate: { a: [w.tokens] } })],
  ...each(
    "ratios of a sweep",
    [undefined, null, [], 0.5, [-0.1], [1.1], [NaN], ["0"], [0.5, 0.5], [1, 0]],
    (ratios, w) => sweep(w, { ratios }),
  ),
  ...each("accumulate of a sweep", [0, 1.5, "1", null], (accumulate, w) => sweep(w, { accumulate })),
  ["more gradients of a sweep than batches", (w) => sweep(w, { accumulate: 2 })],
  ...each("repeats of a sweep", [0, 0.5, "1", null, 2], (repeats, w) => sweep(w, { repeats })),
  ...each("a sweep's first repeat", [-1, 0.5, "1", 1], (firstRepeat, w) => sweep(w, { firstRepeat })),
  ...each("optimizer of a sweep", [undefined, null, "sgd", {}, { type: "adam" }], (optimizer, w) =>
    sweep(w, { optimizer }),
  ),
  ["momentum of a sweep", (w) => sweep(w, { optimizer: { type: "sgd", momentum: 1 }, accumulate: 1 })],
  ...each("weightDecay of a sweep", [1, null], (weightDecay, w) => sweep(w, { weightDecay })),
  ...each("tolerance of a sweep", [0, 1, "1"], (tolerance, w) => sweep(w, { tolerance })),
  ...each("a sweep's signal", [null, 1], (signal, w) => sweep(w, { signal })),
  ...each("a sweep's onProgress", [null, "bar"], (onProgress, w) => sweep(w, { onProgress })),
];

/** What is in order, but for a change. */
async function configured(world: World, change: object): Promise<MixConfigurationInput> {
  const model = folderOf(world, {});
  await world.language.save(model);
  const data = () => ({ data: { files: [fileOf(world, new Uint8Array(80), "tokens.bin")] } });
  return {
    model,
    sources: { a: data(), b: data() },
    vary: "a",
    ratios: [0, 1],
    batch: { size: 1 },
    accumulate: 1,
    repeats: 1,
    ...change,
  } as MixConfigurationInput;
}
const parse = async (world: World, change: object) => parseMix(await configured(world, change));
const measure = async (world: World, change: object, options: object = {}) =>
  measureMix(await configured(world, change), {
    directory: path.join(folderOf(world, {}), "mix"),
    ...options,
  } as never);
const tokens = { files: ["a.bin"] };

/** parseMix, readMix, measureMix. */
export const mixRows: Row[] = [
  ...each("a mix's configuration", [undefined, null, "mix.json", [], {}], (input) => parseMix(input)),
  ["a mix's key of unknown meaning", (w) => parse(w, { steps: 3 })],
  ...each("model of a mix", [undefined, null, "", 3], (model, w) => parse(w, { model })),
  ...each(
    "sources of a mix",
    [undefined, null, [], {}, { a: { data: tokens } }, { a: 3, b: 3 }, { a: tokens, b: tokens }],
    (sources, w) => parse(w, { sources }),
  ),
  ...each("share of a source", [0, -1, "1", null], (share, w) =>
    parse(w, { sources: { a: { data: tokens }, b: { data: tokens, share } } }),
  ),
  ...each("vary", [undefined, null, "c", 3], (vary, w) => parse(w, { vary })),
  ...each("ratios of a mix", [null, [], [2], [-1], ["0"], [0.5, 0.2], [0.5, 0.5]], (ratios, w) =>
    parse(w, { ratios }),
  ),
  ...each("tasks of a mix", [null, 3, { c: 3 }, { a: { data: tokens } }], (tasks, w) => parse(w, { tasks })),
  ...each("withoutTask", ["a", ["c"], ["a", "b"], null], (withoutTask, w) => parse(w, { withoutTask })),
  ...each("batch of a mix", [undefined, {}, { size: 0 }, { size: 1, sampling: "epochs" }], (batch, w) =>
    parse(w, { batch }),
  ),
  ...each("evaluate of a mix", [null, { size: 0 }, { fraction: 0 }, { fraction: 1 }], (evaluate, w) =>
    parse(w, { evaluate }),
  ),
  ...each("repeats of a mix", [0, 1.5, "2", null], (repeats, w) => parse(w, { repeats })),
  ...each("optimizer of a mix", [null, "adamw", { type: "adam" }], (optimizer, w) => parse(w, { optimizer })),
  ...each(
    "train of a mix",
    [
      null,
      { steps: 0 },
      { batches: 0 },
      { ratios: [2] },
      { ratios: [0.5, 0.1] },
      { learningRates: [] },
      { learningRates: [0] },
      { learningRates: [2, 1] },
      { choices: { a: "a.jsonl" } },
    ],
    (train, w) => parse(w, { train }),
  ),
  ...each("readMix of", [undefined, null, 3, ""], (file) => readMix(file)),
  ["a mix from nowhere", ({ folder }) => readMix(path.join(folder, "none.json"))],
  ...each("a mix's file", ["", "{", "null", "[]", '{"repeats":1}'], (text, w) => readMix(fileOf(w, text))),
  ...each("measureMix's options", [undefined, null, 3, {}], async (options, w) =>
    measureMix(await configured(w, {}), options),
  ),
  ...each("a mix's directory", ["", 3, "a\0b"], (directory, w) => measure(w, {}, { directory })),
  ...each("a mix's train", [1, null], (train, w) => measure(w, {}, { train })),
  ...each("a mix's fresh", [1, null], (fresh, w) => measure(w, {}, { fresh })),
  ...each("a mix's signal", [{}, null], (signal, w) => measure(w, {}, { signal })),
  ...each("a mix's onProgress", ["bar", null], (onProgress, w) => measure(w, {}, { onProgress })),
  [
    "a mix in the directory of another",
    async (w) => {
      const directory = path.join(folderOf(w, {}), "mix");
      await measure(w, {}, { directory });
      return measure(w, { seed: 3 }, { directory });
    },
  ],
  ["a mix's model that is not there", (w) => measure(w, { model: path.join(w.folder, "none") })],
  [
    "a mix's task that is not there",
    (w) => measure(w, { tasks: { c: { data: path.join(w.folder, "no.bin") } } }),
  ],
  ["a mix of sequences longer than the context", (w) => measure(w, { batch: { size: 1, sequence: 7 } })],
  ["a mix of documents that nobody knows", (w) => measure(w, { batch: { size: 1, documents: "apart" } })],
  ["a mix of sources shorter than a sequence", (w) => measure(w, { evaluate: { fraction: 0.95 } })],
  [
    "a mix of examples",
    (w) =>
      measure(w, {
        tasks: { c: { data: { type: "synthetic", task: "regression", count: 9, features: 2, outputs: 1 } } },
      }),
  ],
  [
    "a mix of tokens beyond the vocabulary",
    (w) =>
      measure(w, { tasks: { c: { data: { files: [fileOf(w, new Uint8Array(80).fill(200), "t.bin")] } } } }),
  ],
  [
    "a mix's questions without a tokenizer",
    (w) =>
      measure(w, { train: { choices: { q: { files: [fileOf(w, "{}", "q.jsonl")] } } } }, { train: true }),
  ],
];
