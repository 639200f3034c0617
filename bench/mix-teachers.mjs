// What a sweep says against the truth: mixtures drawn as such, each with an optimizer of its own, ten times the data of a sweep.
import { AdamW, Batch, criticalSharpness, summarizeMix, sweepMix } from "../dist/index.js";
import { figure } from "./shared/results.mjs";
import { adamw, drawn, examplesOf, perceptron } from "./shared/teachers.mjs";
import { quantile } from "./shared/timing.mjs";

const size = 20;
const judging = 64;
const few = [0, 0.2, 0.4, 0.5, 0.6, 0.8, 1];
const repeats = 8;
const steps = 4;
const resamplings = 40;

async function truth(key, count) {
  const found = [];
  for (const ratio of few) {
    const own = { a: Math.round(ratio * size), b: size - Math.round(ratio * size) };
    for (let repeat = 0; repeat < count; repeat++) {
      const optimizer = new AdamW(perceptron, { learningRate: 1, ...adamw });
      for (let i = 0; i < steps; i++) {
        const parts = Object.entries(own).map(([teacher, n]) =>
          drawn(`${key} ${teacher} ${ratio}`, teacher, n, repeat * steps + i),
        );
        const join = (name) => Float32Array.from(parts.flatMap((part) => [...part[name]]));
        const batch = Batch.examples({ inputs: join("inputs"), targets: join("targets"), shape: [size] });
        const { gradient } = await perceptron.gradient(batch);
        await optimizer.accumulate(gradient);
        gradient.dispose();
        batch.dispose();
      }
      const direction = await optimizer.direction();
      optimizer.dispose();
      for (const task of ["a", "b"]) {
        const data = drawn(`${key} task ${task} ${ratio}`, task, judging, repeat);
        const batch = Batch.examples({ ...data, shape: [judging] });
        const gradient = await perceptron.gradient(batch);
        const measurement = await criticalSharpness({ model: perceptron, batch, direction, gradient });
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
    model: perceptron,
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

/** Two teachers, whose tasks a mixture is to serve. */
export async function teacherRows() {
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
  return [
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
  ];
}
