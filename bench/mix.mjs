// What a sweep over mixing ratios costs against the same done ratio by ratio, on a pretrained model with its own stories,
// GSM8K and MMLU; that sources which are the same have one λc at every ratio; and what it says against real mixture batches
// with ten times the data.
// npm run build && node bench/mix.mjs. The folder of real data is CRITICAL_SHARPNESS_DATA.
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  AdamW,
  Batch,
  createModel,
  criticalSharpness,
  jsonLinesTexts,
  loadModel,
  loadTokenizer,
  random,
  summarizeMix,
  sweepMix,
  TokenBatches,
  templateText,
  tokenizeCorpus,
} from "../dist/index.js";
import { figure, spread, writeResults } from "./shared/results.mjs";
import { inTurns, quantile, ratio as timeRatio } from "./shared/timing.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const real = process.env.CRITICAL_SHARPNESS_DATA ?? path.resolve(here, "../../shared/data");
const directory = path.join(real, "stories260k");
if (!existsSync(directory)) throw new Error(`Expected the real data in "${real}" (CRITICAL_SHARPNESS_DATA)`);

const ratios = Array.from({ length: 11 }, (_, i) => i / 10);
const accumulate = 6;
const adamw = { betas: [0.9, 0.95], weightDecay: 0.1 };
const rows = 10;
const sequence = 64;
const tolerance = 1e-3;
const rounds = 3;
const model = await loadModel(directory);

/** Token batches of a file's texts. */
async function open(file, text) {
  const tokenizer = await loadTokenizer(path.join(directory, "tokenizer.json"));
  const texts = jsonLinesTexts([path.join(real, file)], text);
  const stream = await tokenizeCorpus(file, texts, tokenizer, { endOfText: false, limit: 100_000 });
  return new TokenBatches(stream, { size: rows, sequence, seed: 1, sampling: "epochs" });
}
const stories = await open("stories260k/sampled-stories.jsonl", "text");
const gsm8k = await open("gsm8k/train.jsonl", templateText("{question}\n{answer}"));
const mmlu = await open("mmlu/test.jsonl", templateText("{question}\n{choices}"));
const taken = async (source, from, count) =>
  Promise.all(Array.from({ length: count }, (_, i) => source.training(from + i)));
const varied = await taken(stories, 1, accumulate);
const rest = await taken(gsm8k, 1, accumulate);
const judged = {
  stories: await taken(stories, accumulate + 1, 1),
  gsm8k: await taken(gsm8k, accumulate + 1, 1),
  mmlu: await taken(mmlu, 1, 1),
};
const asBatches = (all) => all.map(Batch.tokens);
const update = { varied: asBatches(varied), rest: asBatches(rest) };
const tasks = Object.fromEntries(Object.entries(judged).map(([name, all]) => [name, asBatches(all)]));
const batches = Object.values(tasks).flat();

/** A batch of the first sequences of one and of the other. */
function joined([a, ofA], [b, ofB]) {
  const pick = (key) =>
    Int32Array.from([...a[key].subarray(0, ofA * sequence), ...b[key].subarray(0, ofB * sequence)]);
  return Batch.tokens({ inputIds: pick("inputIds"), labels: pick("labels"), shape: [ofA + ofB, sequence] });
}
/** The batches of the mixture of a ratio r/10. */
const mixture = (r) => varied.map((_, i) => joined([varied[i], r], [rest[i], rows - r]));

let cost;
let measurements;
async function sweep() {
  ({
    measurements,
    costs: [cost],
  } = await sweepMix({
    model,
    update,
    evaluate: tasks,
    ratios,
    accumulate,
    repeats: 1,
    optimizer: { type: "adamw", ...adamw },
    tolerance,
  }));
  return { seconds: cost.backwardSeconds };
}
const mixtures = ratios.map((_, r) => mixture(r));
/** The backward passes of all ratios, one ratio after the other. */
async function direct() {
  for (const own of mixtures)
    for (const batch of [...own, ...batches]) (await model.gradient(batch)).gradient.dispose();
}
const times = await inTurns({ sweep, direct }, { rounds, warmup: 1 });
const backward = timeRatio(times, "direct", "sweep");
const oneRatio = rows * (accumulate + batches.length);
const ours = cost.updateRows + rows * cost.evaluatePasses;

// λc directly, from each mixture's own batches.
let worst = 0;
for (const [r, ratio] of ratios.entries()) {
  const optimizer = new AdamW(model, { learningRate: 1, ...adamw });
  for (const batch of mixture(r)) {
    const { gradient } = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    gradient.dispose();
    batch.dispose();
  }
  const direction = await optimizer.direction();
  optimizer.dispose();
  for (const [task, [batch]] of Object.entries(tasks)) {
    const gradient = await model.gradient(batch);
    const expected = await criticalSharpness({ model, batch, direction, gradient, tolerance });
    gradient.gradient.dispose();
    const found = measurements.find((m) => m.ratio === ratio && m.task === task).measurement;
    const same = found.status === expected.status;
    const distance =
      expected.status === "converged"
        ? Math.abs(found.criticalSharpness / expected.criticalSharpness - 1)
        : 0;
    worst = Math.max(worst, same ? distance : Number.POSITIVE_INFINITY);
  }
  direction.dispose();
}

/** Batches of a function, of which the one before is no longer needed. */
function each(draw) {
  let last;
  return (index) => {
    last?.dispose();
    last = draw(index);
    return last;
  };
}

// Two sources that are one: the same texts in two orders, and a perceptron's examples from one distribution.
const nullRatios = [0, 0.25, 0.5, 0.75, 1];
const nullRepeats = 60;
const features = 4;
const small = await createModel(
  { model_type: "mlp", layer_sizes: [features, 8, 1], activation: "gelu", loss: "mse" },
  { seed: 3 },
);
/** Examples of two teachers, "a" and "b", that share one of two features. */
function drawn(key, teacher, examples, index) {
  const draw = random("bench mix", key, index);
  const inputs = Float32Array.from({ length: examples * features }, () => draw.normal());
  const sign = teacher === "a" ? 1 : -1;
  const targets = Float32Array.from(
    { length: examples },
    (_, i) => sign * inputs[i * features] + inputs[i * features + 1] + 0.5 * draw.normal(),
  );
  return { inputs, targets };
}
const examplesOf = (key, teacher, size) =>
  each((index) => Batch.examples({ ...drawn(key, teacher, size, index), shape: [size] }));
const storyTexts = jsonLinesTexts([path.join(real, "stories260k/sampled-stories.jsonl")], "text");
const storyStream = await tokenizeCorpus(
  "stories",
  storyTexts,
  await loadTokenizer(path.join(directory, "tokenizer.json")),
  {},
);
const textsOf = (seed, size) => {
  const source = new TokenBatches(storyStream, { size, sequence: 32, seed, sampling: "anywhere" });
  let last;
  return async (index) => {
    last?.dispose();
    last = Batch.tokens(await source.training(index + 1));
    return last;
  };
};
async function equalSources(given, make, optimizer, steps) {
  const { measurements: found } = await sweepMix({
    model: given,
    update: { varied: make(1, 8), rest: make(2, 8) },
    evaluate: { held: make(3, 32) },
    ratios: nullRatios,
    accumulate: steps,
    repeats: nullRepeats,
    optimizer,
  });
  const { points, recommendation } = summarizeMix(found);
  const sharpness = points.map((point) => point.criticalSharpness);
  return { spread: Math.max(...sharpness) / Math.min(...sharpness), sharpness, recommendation };
}
const sgd = { type: "sgd" };
const nullSweeps = 100;
let falseDecisions = 0;
for (let i = 0; i < nullSweeps; i++) {
  const { measurements: found } = await sweepMix({
    model: small,
    update: { varied: examplesOf(`null ${i} 1`, "a", 8), rest: examplesOf(`null ${i} 2`, "a", 8) },
    evaluate: { held: examplesOf(`null ${i} 3`, "a", 32) },
    ratios: nullRatios,
    repeats: 8,
    optimizer: sgd,
  });
  if (summarizeMix(found).recommendation.decided) falseDecisions++;
}
const equal = {
  "a perceptron, SGD": await equalSources(
    small,
    (key, size) => examplesOf(`equal ${key}`, "a", size),
    sgd,
    1,
  ),
  "a perceptron, AdamW": await equalSources(
    small,
    (key, size) => examplesOf(`equal ${key}`, "a", size),
    { type: "adamw", ...adamw, weightDecay: 0 },
    10,
  ),
  "the pretrained model on its stories, AdamW": await equalSources(
    model,
    textsOf,
    { type: "adamw", ...adamw, weightDecay: 0 },
    4,
  ),
};

// Truth: mixtures drawn as such, each with an optimizer of its own, ten times the data of a sweep.
const size = 20;
const judging = 64;
const few = [0, 0.2, 0.4, 0.5, 0.6, 0.8, 1];
const repeats = 8;
const steps = 4;
async function truth(key, count) {
  const found = [];
  for (const ratio of few) {
    const own = { a: Math.round(ratio * size), b: size - Math.round(ratio * size) };
    for (let repeat = 0; repeat < count; repeat++) {
      const optimizer = new AdamW(small, { learningRate: 1, ...adamw });
      for (let i = 0; i < steps; i++) {
        const parts = Object.entries(own).map(([teacher, n]) =>
          drawn(`${key} ${teacher} ${ratio}`, teacher, n, repeat * steps + i),
        );
        const join = (name) => Float32Array.from(parts.flatMap((part) => [...part[name]]));
        const batch = Batch.examples({ inputs: join("inputs"), targets: join("targets"), shape: [size] });
        const { gradient } = await small.gradient(batch);
        await optimizer.accumulate(gradient);
        gradient.dispose();
        batch.dispose();
      }
      const direction = await optimizer.direction();
      optimizer.dispose();
      for (const task of ["a", "b"]) {
        const data = drawn(`${key} task ${task} ${ratio}`, task, judging, repeat);
        const batch = Batch.examples({ ...data, shape: [judging] });
        const gradient = await small.gradient(batch);
        const measurement = await criticalSharpness({ model: small, batch, direction, gradient });
        gradient.gradient.dispose();
        batch.dispose();
        found.push({ repeat, ratio, task, measurement });
      }
      direction.dispose();
    }
  }
  return summarizeMix(found);
}
async function estimateOf(key) {
  const found = await sweepMix({
    model: small,
    update: { varied: examplesOf(`${key} a`, "a", size), rest: examplesOf(`${key} b`, "b", size) },
    evaluate: {
      a: examplesOf(`${key} task a`, "a", judging),
      b: examplesOf(`${key} task b`, "b", judging),
    },
    ratios: few,
    accumulate: steps,
    repeats,
    optimizer: { type: "adamw", ...adamw },
  });
  return summarizeMix(found.measurements);
}
const resamplings = 40;
const real10 = await truth("many", 10 * repeats);
const distances = [];
let [decided, contained, covered, intervals] = [0, 0, 0, 0];
for (let i = 0; i < resamplings; i++) {
  const { points, recommendation } = await estimateOf(`few ${i}`);
  if (recommendation.decided) decided++;
  if (recommendation.ratios.includes(real10.recommendation.ratio)) contained++;
  for (const [p, point] of points.entries()) {
    const expected = real10.points[p].criticalSharpness;
    // Where the truth is that a task's loss rises at once, both may be 0.
    if (expected < Number.POSITIVE_INFINITY) distances.push(expected / point.criticalSharpness);
    intervals++;
    if (point.interval[0] <= expected && point.interval[1] >= expected) covered++;
  }
}
const medianRatio = quantile(distances, 0.5);

await writeResults("mix", "Sweeps over mixing ratios", [
  {
    what: "11 ratios × 3 tasks: sequences through backward passes against those of one ratio",
    bar: "≤ 2×",
    measured: figure(ours / oneRatio),
    met: ours / oneRatio <= 2,
    detail: `${cost.updateRows} for the updates, in ${cost.updatePasses} passes, and ${rows * cost.evaluatePasses} for the slopes against ${rows * accumulate} and ${rows * batches.length}; beside them ${cost.forwardPasses} forward passes, ${figure(cost.forwardPasses / (ratios.length * batches.length))} for each λc within ${tolerance}. The pretrained model of 260 K parameters, stories and GSM8K, judged by both and MMLU; ${accumulate} gradients of ${rows} × ${sequence} tokens`,
  },
  {
    what: "the same ratio by ratio: backward time against the sweep's",
    bar: "≥ 4×",
    measured: spread(backward),
    met: backward.median >= 4,
    detail: `${figure(quantile(times.direct, 0.5))} s against ${figure(quantile(times.sweep, 0.5))} s, in turns, ${rounds} rounds: ${ratios.length * oneRatio} sequences against ${ours}, whose passes are of one sequence each: the least favourable case`,
  },
  {
    what: "the same ratio by ratio: λc, largest difference",
    bar: `≤ ε = ${tolerance}`,
    measured: figure(worst),
    met: worst <= tolerance,
    detail: `every ratio and task, float32, AdamW; the status is the same everywhere`,
  },
  ...Object.entries(equal).map(([name, { spread: found, sharpness, recommendation }]) => ({
    what: `both sources the same: largest λc over 5 ratios ÷ smallest; ${name}`,
    bar: "≤ 1.3, undecided",
    measured: `${figure(found)}, ${recommendation.decided ? "decided" : "undecided"}`,
    met: found <= 1.3 && !recommendation.decided,
    detail: `batches of 8, ${nullRepeats} repeats: ${sharpness.map((value) => figure(value)).join(", ")}`,
  })),
  {
    what: "both sources the same: sweeps that decide",
    bar: "≤ 5 %",
    measured: `${falseDecisions} of ${nullSweeps}`,
    met: falseDecisions <= 0.05 * nullSweeps,
    detail: `a perceptron, SGD, batches of 8, 8 repeats, one task: noise that is far from normal`,
  },
  {
    what: "two teachers: ηc against that of real mixture batches with ten times the data, median of the quotient",
    bar: "0.9 to 1.1",
    measured: figure(medianRatio),
    met: medianRatio >= 0.9 && medianRatio <= 1.1,
    detail: `${resamplings} sweeps of ${repeats} repeats, ${few.length} ratios, 2 tasks, against batches drawn as mixtures, ${10 * repeats} repeats with an optimizer for each. A perceptron, AdamW, ${steps} gradients of ${size} examples`,
  },
  {
    what: "the same: 95 % intervals of λc that hold the truth",
    bar: "≥ 90 %",
    measured: `${figure((100 * covered) / intervals)} %`,
    met: covered >= 0.9 * intervals,
    detail: `of ${intervals}; the truth has an error of its own, a third of theirs`,
  },
  {
    what: "the same: the set of ratios contains the best of the truth",
    bar: "≥ 95 % of 40",
    measured: `${contained} of ${resamplings}`,
    met: contained >= 0.95 * resamplings,
    detail: `the best is ${real10.recommendation.ratio}; ${decided} of the ${resamplings} sweeps decided`,
  },
]);
