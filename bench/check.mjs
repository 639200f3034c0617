// The test that could refute `check`: sweeps of learning rates whose short trainings say what is too large, beside what `check` said
// before. One sweep after the other, each a line of the file CHECK_SWEEPS; those that are there are not made again.
// `node bench/check.mjs [part of a name]`; the folder of real data is CRITICAL_SHARPNESS_DATA.
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { openData } from "../dist/data/index.js";
import { parseCheck } from "../dist/experiments/check/check-configuration.js";
import { Moments } from "../dist/experiments/check/moments.js";
import { tryWarmup } from "../dist/experiments/check/trial.js";
import { loadWeights } from "../dist/experiments/model-source.js";
import { makeSchedule } from "../dist/experiments/schedule.js";
import { TrainingData } from "../dist/experiments/training-data.js";
import { checkLearningRate, setThreads } from "../dist/index.js";
import { makeOptimizer } from "../dist/optimizers/index.js";
import { summarizeSweeps } from "./shared/check-tables.mjs";
import { mean } from "./shared/timing.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const real = process.env.CRITICAL_SHARPNESS_DATA ?? path.resolve(here, "../../shared/data");
const stories = path.join(real, "stories260k");
if (!existsSync(stories)) throw new Error(`Expected the real data in "${real}" (CRITICAL_SHARPNESS_DATA)`);
const work = mkdtempSync(path.join(os.tmpdir(), "check-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
const log = process.env.CHECK_SWEEPS ?? path.join(os.tmpdir(), "check-sweeps.jsonl");

/** Of every training, after a warm-up. */
const steps = 100;
const schedule = { type: "constant", warmup: 10 };
/** η of a sweep, in units of the ηc that was found at its beginning. */
const factors = Array.from({ length: 10 }, (_, i) => 2 ** (i - 7));
/** Where a baseline training, at a sixteenth of ηc, is asked again. */
const asked = [20, 100];

const optimizers = {
  SGD: { type: "sgd", momentum: 0.9 },
  AdamW: { type: "adamw", betas: [0.9, 0.95], weightDecay: 0.1 },
  Muon: { type: "muon" },
};
const gpt2 = { model_type: "gpt2", vocab_size: 512, n_positions: 64, n_embd: 64, n_layer: 3, n_head: 4 };
const llama = JSON.parse(readFileSync(path.join(stories, "config.json"), "utf8"));
const texts = {
  stories: { type: "jsonl", files: [path.join(stories, "sampled-stories.jsonl")] },
  GSM8K: { type: "jsonl", files: [path.join(real, "gsm8k/train.jsonl")], template: "{question}\n{answer}" },
  speeches: { type: "state-of-the-union" },
};
const examples = {
  MNIST: { data: { type: "mnist", count: 4000 }, features: 784 },
  "CIFAR-10": {
    data: { type: "cifar10", files: [path.join(real, "cifar10/cifar10-train5k.bin")] },
    features: 3072,
  },
  synthetic: {
    data: { type: "synthetic", task: "classification", count: 4000, features: 64, outputs: 10, noise: 0.3 },
    features: 64,
  },
};

/** Tokens of a text as a file, so that it is tokenized once. */
async function tokenFile(name, description) {
  const file = path.join(work, `${name}.bin`);
  const opened = await openData(
    { ...description, tokenizer: path.join(stories, "tokenizer.json"), limit: 300_000 },
    0,
  );
  writeFileSync(file, Uint16Array.from(await opened.read(0, opened.length)));
  await opened[Symbol.asyncDispose]();
  return { type: "tokens", files: [file], dtype: "uint16" };
}

/** All sweeps: what is trained on what, and how. */
async function* sweeps() {
  const language = { batch: { size: 8, sequence: 32 }, dtype: "float32" };
  for (const [dataName, description] of Object.entries(texts)) {
    const data = await tokenFile(dataName, description);
    const models = {
      GPT: {
        scratch: gpt2,
        checkpoint: () => pretrained("gpt2", { model: gpt2, data: tokenFile("stories", texts.stories) }),
      },
      Llama: { scratch: llama, checkpoint: () => stories },
    };
    for (const [modelName, { scratch, checkpoint }] of Object.entries(models)) {
      const directory = await checkpoint();
      const targets = modelName === "GPT" ? ["c_attn"] : ["q_proj", "v_proj"];
      yield* each(
        `${modelName}, ${dataName}`,
        { ...language, data },
        {
          "from scratch": { ...scratch, seed: 1 },
          "from a checkpoint": { directory },
          "LoRA from a checkpoint": { directory, adapter: { rank: 8, targets } },
        },
      );
    }
  }
  for (const [dataName, { data, features }] of Object.entries(examples)) {
    const model = {
      model_type: "mlp",
      layer_sizes: [features, 128, 128, 10],
      activation: "gelu",
      loss: "cross_entropy",
    };
    const shape = { batch: { size: 64 }, data, dtype: "float32" };
    const directory = await pretrained(`mlp-${dataName}`, { model, data });
    yield* each(`MLP, ${dataName}`, shape, {
      "from scratch": { ...model, seed: 1 },
      "from a checkpoint": { directory },
    });
  }
}

function* each(name, shape, models) {
  for (const [beginning, model] of Object.entries(models))
    for (const [optimizerName, optimizer] of Object.entries(optimizers))
      yield { name: `${name}, ${beginning}, ${optimizerName}`, ...shape, model, optimizer };
}

const checkpoints = new Map();

/** A folder with a model that was trained for a while. */
async function pretrained(name, { model, data }) {
  const known = checkpoints.get(name);
  if (known) return known;
  const directory = path.join(work, name);
  const language = model.model_type === "gpt2";
  const configuration = {
    model: { ...model, seed: 7 },
    data: await data,
    batch: language ? { size: 16, sequence: 64 } : { size: 64 },
    optimizer: optimizers.AdamW,
    dtype: "float32",
  };
  await training(
    configuration,
    { learningRate: language ? 3e-3 : 1e-3, count: language ? 400 : 60, seed: 5 },
    async (_, { model: trained }) => trained.save(directory),
    [language ? 400 : 60],
  );
  checkpoints.set(name, directory);
  return directory;
}

/** Losses of the batches of a training, each before its step; `at` is called after the steps of `places`. */
async function training(configuration, { learningRate, count = steps, seed = 0 }, at, places = []) {
  const opened = await openData(configuration.data, seed);
  const losses = [];
  const model = await loadWeights(configuration, undefined);
  const data = TrainingData.over(opened, { batch: configuration.batch, seed }, model.config);
  const optimizer = makeOptimizer(model, { ...configuration.optimizer, learningRate });
  try {
    const rate = makeSchedule({ schedule, steps: count }, learningRate);
    for (let step = 1; step <= count; step++) {
      const { loss, norm } = await optimizer.accumulateFrom(await data.training(step)).catch((error) => {
        if (error.code === "ERR_NON_FINITE_LOSS") return { loss: NaN, norm: NaN };
        throw error;
      });
      losses.push(Number.isFinite(norm) ? loss : NaN);
      if (!Number.isFinite(losses.at(-1))) break;
      await optimizer.step({ learningRate: rate(step) });
      if (places.includes(step)) await at?.(step, { model, optimizer });
    }
  } finally {
    await data[Symbol.asyncDispose]();
    if ("read" in opened) await opened[Symbol.asyncDispose]();
    optimizer.dispose();
    model.dispose();
  }
  return losses;
}

let runs = 0;

/** The records of `check`, without the evaluations. */
async function checked(configuration, change) {
  const directory = path.join(work, `check-${runs++}`);
  const { name: _, ...rest } = configuration;
  await checkLearningRate({ ...rest, ...asIs, ...change }, { directory });
  const lines = readFileSync(path.join(directory, "metrics.jsonl"), "utf8").trim().split("\n");
  rmSync(directory, { recursive: true, force: true });
  return lines.map((line) => bare(JSON.parse(line)));
}

/** The batches of a training are others than those that it is asked about. */
const asIs = { seed: 11, points: 0, accumulate: 10, batches: 4 };
const bare = (record) =>
  JSON.parse(
    JSON.stringify(record, (key, value) =>
      ["evaluations", "seconds", "points"].includes(key) ? undefined : value,
    ),
  );

/** The trials of several learning rates as `check` makes them: its batches and moments are the same for all. */
async function trials(configuration, rates) {
  const { name: _, ...rest } = configuration;
  const parsed = parseCheck({ ...rest, ...asIs, learningRate: 1 });
  const opened = await openData(parsed.data, parsed.seed);
  const model = await loadWeights(parsed, undefined);
  const data = TrainingData.over(opened, parsed, model.config);
  const moments = new Moments(model, parsed.optimizer, undefined);
  const batchAt = (index) => data.training(parsed.batches + index);
  try {
    const optimizer = await moments.optimizer();
    for (let i = 1; i <= parsed.accumulate; i++) await optimizer.accumulateFrom(await batchAt(i));
    const file = path.join(work, "moments.safetensors");
    await optimizer.save(file);
    optimizer.dispose();
    moments.file = file;
    const found = [];
    for (const learningRate of rates) {
      const cost = { gradients: 0, forwardPasses: 0 };
      const subject = { model, moments, configuration: parsed, learningRate, cost, signal: undefined };
      const records = [];
      for await (const record of tryWarmup(subject, (step) => batchAt(parsed.accumulate + step)))
        records.push(bare(record));
      found.push(records);
    }
    return found;
  } finally {
    await data[Symbol.asyncDispose]();
    if ("read" in opened) await opened[Symbol.asyncDispose]();
    model.dispose();
  }
}

async function sweep(configuration) {
  const { name } = configuration;
  const unit = (await checked(configuration, { learningRate: 1e-3, trial: 0 })).filter(
    ({ type, together }) => type === "batch" && together === 1,
  );
  const found = unit.map(({ measurement }) => measurement.criticalLearningRate).filter((rate) => rate > 0);
  if (found.length === 0) return { name, unit: null };
  const critical = Math.exp(mean(found.map(Math.log)));
  const rates = factors.map((factor) => factor * critical);
  const whole = await checked(configuration, { learningRate: rates[4] });
  const tried = await trials(configuration, rates);
  const own = whole.filter(({ type }) => type === "trial" || type === "diverged");
  if (JSON.stringify(own) !== JSON.stringify(tried[4]))
    throw new Error(`${name}: the trials are not those of check`);
  const rows = [];
  for (const [i, learningRate] of rates.entries()) {
    const losses = await training(configuration, { learningRate });
    rows.push({
      factor: factors[i],
      learningRate,
      trial: tried[i],
      losses: losses.map((loss) => (Number.isFinite(loss) ? Number(loss.toPrecision(5)) : null)),
    });
  }
  const later = [];
  await training(
    configuration,
    { learningRate: critical / 16 },
    async (step, { model, optimizer }) => {
      const directory = path.join(work, `later-${runs++}`);
      await model.save(directory);
      await optimizer.save(path.join(directory, "optimizer.safetensors"));
      const { adapter } = configuration.model;
      const source = adapter ? { ...configuration.model, adapter: directory } : { directory };
      const records = await checked(configuration, { model: source, learningRate: critical, trial: 0 });
      later.push({
        step,
        batches: records.filter(({ type, together }) => type === "batch" && together === 1),
      });
      rmSync(directory, { recursive: true });
    },
    asked,
  );
  return {
    name,
    unit: critical,
    records: whole.filter(({ type }) => type !== "trial" && type !== "diverged"),
    rows,
    later,
  };
}

await setThreads(1);
const [wanted = ""] = process.argv.slice(2);
const done = new Set(
  existsSync(log)
    ? readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line).name)
    : [],
);
const all = [];
for await (const configuration of sweeps()) all.push(configuration);
// Not all of one kind first: a part of them says something of each.
const order = all.map((_, i) => (7 * i) % all.length);
for (const place of order) {
  const configuration = all[place];
  if (!configuration.name.includes(wanted) || done.has(configuration.name)) continue;
  const started = performance.now();
  const found = await sweep(configuration);
  appendFileSync(log, `${JSON.stringify(found)}\n`);
  console.error(`${configuration.name}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
await summarizeSweeps(log);
