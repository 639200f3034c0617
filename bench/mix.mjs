// What a sweep over mixing ratios costs against the same done ratio by ratio, and how often the interval of its
// recommendation holds what ten times the data say: npm run build && node bench/mix.mjs
import {
  AdamW,
  Batch,
  createModel,
  criticalSharpness,
  random,
  summarizeMix,
  sweepMix,
} from "../dist/index.js";
import { gpt, gpts, tokenBatch } from "./shared/models.mjs";
import { figure, writeResults } from "./shared/results.mjs";
import { seconds } from "./shared/timing.mjs";

const ratios = Array.from({ length: 11 }, (_, i) => i / 10);
const accumulate = 6;
const optimizer = { type: "adamw", betas: [0.9, 0.95], weightDecay: 0.1 };
const rows = 10;
const sequence = 64;

const model = await createModel(gpt("0.1 M"), { seed: 1, dtype: "float32" });
const made = (seed) => tokenBatch(gpts["0.1 M"], rows, sequence, seed);
const varied = Array.from({ length: accumulate }, (_, i) => made(1 + i));
// The other source runs backwards: its tokens predict what came before.
const rest = Array.from({ length: accumulate }, (_, i) => {
  const { inputIds, labels } = made(100 + i);
  return {
    batch: Batch.tokens({ inputIds: labels, labels: inputIds, shape: [rows, sequence] }),
    inputIds: labels,
    labels: inputIds,
  };
});
const tasks = { varied: [made(50).batch], rest: [rest[0].batch], third: [made(70).batch] };
const sweep = () =>
  sweepMix({
    model,
    update: { varied: varied.map((b) => b.batch), rest: rest.map((b) => b.batch) },
    evaluate: tasks,
    ratios,
    accumulate,
    repeats: 1,
    optimizer,
    tolerance: 1e-4,
  });

/** Sequences of both parts as one batch. */
function joined(a, ofA, b, ofB) {
  const parts = [
    ...Array.from({ length: ofA }, (_, i) => [a, i % rows]),
    ...Array.from({ length: ofB }, (_, i) => [b, i % rows]),
  ];
  const pick = (key) =>
    Int32Array.from(parts.flatMap(([p, row]) => [...p[key].subarray(row * sequence, (row + 1) * sequence)]));
  return Batch.tokens({
    inputIds: pick("inputIds"),
    labels: pick("labels"),
    shape: [parts.length, sequence],
  });
}

await sweep();
const { measurements, costs } = await sweep();
const [cost] = costs;

// One ratio directly: as many backward passes as batches, and the same for the tasks' slopes.
const oneRatio = accumulate + Object.keys(tasks).length;
const ours = cost.updatePasses + cost.evaluatePasses;

// All ratios directly, over batches of the mixture of the usual size: backward passes alone.
let directSeconds = 0;
for (const [r] of ratios.entries()) {
  for (let i = 0; i < accumulate; i++) {
    const batch = joined(varied[i], r, rest[i], rows - r);
    directSeconds += await seconds(async () => (await model.gradient(batch)).gradient.dispose());
    batch.dispose();
  }
  for (const [batch] of Object.values(tasks))
    directSeconds += await seconds(async () => (await model.gradient(batch)).gradient.dispose());
}

// The same λc directly: batches that hold every sequence of both parts, repeated in the proportion of the ratio.
let worst = 0;
for (const [r, ratio] of ratios.entries()) {
  const { type: _, ...options } = optimizer;
  const direct = new AdamW(model, { learningRate: 1, ...options });
  for (let i = 0; i < accumulate; i++) {
    const batch = joined(varied[i], r * rows, rest[i], (10 - r) * rows);
    const { gradient } = await model.gradient(batch);
    await direct.accumulate(gradient);
    gradient.dispose();
    batch.dispose();
  }
  const direction = await direct.direction();
  direct.dispose();
  for (const [task, [batch]] of Object.entries(tasks)) {
    const gradient = await model.gradient(batch);
    const expected = await criticalSharpness({ model, batch, direction, gradient, tolerance: 1e-4 });
    gradient.gradient.dispose();
    const found = measurements.find((m) => m.ratio === ratio && m.task === task).measurement;
    const same = found.status === expected.status;
    const distance =
      expected.status === "converged"
        ? Math.abs(found.criticalSharpness / expected.criticalSharpness - 1)
        : 0;
    worst = Math.max(worst, same ? distance : Infinity);
  }
  direction.dispose();
}

// Coverage, on a perceptron: two sources with teachers of their own.
const features = 4;
const small = await createModel(
  { model_type: "mlp", layer_sizes: [features, 8, 1], activation: "gelu", loss: "mse" },
  { seed: 3, dtype: "float32" },
);
function drawn(key, source, index) {
  const draw = random("bench mix", key, source, index);
  const n = 16;
  const inputs = Float32Array.from({ length: n * features }, () => draw.normal());
  const sign = source.endsWith("a") ? 1 : -1;
  const targets = Float32Array.from(
    { length: n },
    (_, i) => sign * inputs[i * features] + inputs[i * features + 1] + 0.5 * draw.normal(),
  );
  return Batch.examples({ inputs, targets, shape: [n] });
}
async function recommendation(key, repeats) {
  const kept = new Map();
  const source = (name) => (index) => {
    kept.get(name)?.dispose();
    kept.set(name, drawn(key, name, index));
    return kept.get(name);
  };
  const { measurements: found } = await sweepMix({
    model: small,
    update: { varied: source("update a"), rest: source("update b") },
    evaluate: { a: source("task a"), b: source("task b") },
    ratios,
    repeats,
    optimizer: { type: "sgd" },
  });
  return summarizeMix(found).recommendation;
}
const resamplings = 40;
const repeats = 8;
let covered = 0;
const { ratio } = await recommendation("many", 10 * repeats);
for (let i = 0; i < resamplings; i++) {
  const { interval } = await recommendation(`few ${i}`, repeats);
  if (interval && ratio !== null && ratio >= interval[0] && ratio <= interval[1]) covered++;
}

await writeResults("mix", "Sweeps over mixing ratios", [
  {
    what: "11 ratios × 3 tasks: backward passes against those of one ratio",
    bar: "≤ 2×",
    measured: figure(ours / oneRatio),
    met: ours / oneRatio <= 2,
    detail: `${cost.updatePasses} for the updates and ${cost.evaluatePasses} for the slopes against ${oneRatio}; and ${cost.forwardPasses} forward passes. GPT-2, 0.1 M`,
  },
  {
    what: "the same ratio by ratio: backward time",
    bar: "≥ 4×",
    measured: figure(directSeconds / cost.backwardSeconds),
    met: directSeconds / cost.backwardSeconds >= 4,
    detail: `${figure(directSeconds)} s against ${figure(cost.backwardSeconds)} s`,
  },
  {
    what: "the same ratio by ratio: λc, largest difference",
    bar: "≤ 0.001",
    measured: figure(worst),
    met: worst <= 0.001,
    detail: "every ratio and task, ε = 1e-4, float32, AdamW",
  },
  {
    what: "interval of the recommendation holds the ratio from 10× the data",
    bar: "≥ 90 % of 40",
    measured: `${covered} of ${resamplings}`,
    met: covered >= 0.9 * resamplings,
    detail: `${repeats} repeats of 16 examples a source; a perceptron`,
  },
]);
