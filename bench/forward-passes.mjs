// Forward passes of warm measurements at ε = 1/16: both methods on the same lines of the same training runs.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { makeSchedule } from "../dist/experiments/schedule.js";
import { TrainingData } from "../dist/experiments/training-data.js";
import { createModel, parseConfiguration, readConfiguration, SharpnessMeter } from "../dist/index.js";
import { makeOptimizer } from "../dist/optimizers/index.js";
import { figure } from "./shared/results.mjs";
import { mean, median, quantile } from "./shared/timing.mjs";

const examples = path.join(path.dirname(fileURLToPath(import.meta.url)), "../examples");

const mlp = {
  model: { model_type: "mlp", layer_sizes: [64, 128, 128, 10], activation: "gelu", loss: "cross_entropy" },
  data: { type: "synthetic", task: "classification", count: 2048, features: 64, outputs: 10, noise: 0.3 },
  seed: 3,
  measure: null,
  landscape: null,
};
const sgd = { type: "sgd", learningRate: 0.1 };
const adamw = { type: "adamw", learningRate: 1e-3 };

/** The runs that the design asks for. */
export async function designRuns() {
  return {
    quickstart: await readConfiguration(path.join(examples, "quickstart.json")),
    "full-batch SGD, MLP": parseConfiguration({ ...mlp, batch: { size: 2048 }, optimizer: sgd, steps: 500 }),
    "batch-64 SGD, MLP": parseConfiguration({ ...mlp, batch: { size: 64 }, optimizer: sgd, steps: 1000 }),
    "batch-64 AdamW, MLP": parseConfiguration({ ...mlp, batch: { size: 64 }, optimizer: adamw, steps: 1000 }),
  };
}

export async function forwardPassRows() {
  const rows = [];
  for (const [name, configuration] of Object.entries(await designRuns())) {
    const { passes, apart } = await compareMethods(configuration);
    for (const method of ["interpolated", "bisection"]) {
      const all = passes[method].slice(1);
      const [middle, average] = [median(all), mean(all)];
      const ours = method === "interpolated";
      rows.push({
        what: `forward passes of a warm measurement, ${method}, ${name}`,
        bar: ours ? "median ≤ 3, mean ≤ 3.5" : "",
        measured: `median ${figure(middle)}, mean ${figure(average)}`,
        met: ours ? middle <= 3 && average <= 3.5 : null,
        detail: `${all.length} steps; 95 % took at most ${figure(quantile(all, 0.95))}${ours ? `; ηc of both methods apart by at most ${figure(apart * 100)} %` : ""}`,
      });
    }
  }
  return rows;
}

/** Measures every step's line with a meter of each method. */
async function compareMethods(configuration) {
  const meters = {
    interpolated: new SharpnessMeter(),
    bisection: new SharpnessMeter({ method: "bisection" }),
  };
  const passes = { interpolated: [], bisection: [] };
  let apart = 0;
  await measureRun(configuration, meters, ({ interpolated: a, bisection: b }) => {
    passes.interpolated.push(a.forwardPasses);
    passes.bisection.push(b.forwardPasses);
    if (a.status === "converged" && b.status === "converged")
      apart = Math.max(apart, Math.abs(a.criticalLearningRate / b.criticalLearningRate - 1));
  });
  return { passes, apart };
}

/**
 * Trains, and measures every step's line with each of the meters.
 *
 * @param onStep is given what each of them found, and the step
 */
export async function measureRun(configuration, meters, onStep) {
  const { seed, initialization, ...config } = configuration.model;
  const model = await createModel(config, { dtype: configuration.dtype, seed, initialization });
  const data = await TrainingData.open(configuration, model.config);
  const optimizer = makeOptimizer(model, configuration.optimizer);
  const schedule = makeSchedule(configuration, configuration.optimizer.learningRate);
  for (let step = 1; step <= configuration.steps; step++) {
    const batch = await data.training(step);
    const gradient = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    const direction = await optimizer.direction();
    const found = {};
    for (const [name, meter] of Object.entries(meters))
      found[name] = await meter.measure({ model, batch, direction, gradient });
    onStep(found, step);
    await optimizer.step({ learningRate: schedule(step) });
    direction.dispose();
    gradient.gradient.dispose();
  }
  optimizer.dispose();
  await data[Symbol.asyncDispose]();
  model.dispose();
}
