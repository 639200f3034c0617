// How well numbers of curvature foretell that the loss jumps or a run diverges: learning rates raised until runs diverge, all measured at
// every step of the same runs. `node bench/spikes.mjs`
import { TrainingData } from "../dist/experiments/training-data.js";
import { createModel, parseConfiguration, SharpnessMeter } from "../dist/index.js";
import { makeOptimizer } from "../dist/optimizers/index.js";
import { alarms, areaUnderCurve, bestThreshold, horizon, judged } from "./shared/alarms.mjs";
import { figure, writeTables } from "./shared/results.mjs";
import { spikesOf } from "./shared/spikes.mjs";
import { mean, median } from "./shared/timing.mjs";
import { Tracked } from "./shared/tracked.mjs";

const seeds = [1, 2, 3, 4];
const steps = 200;
/** Products of a power iteration at each step, from where the step before ended: fewer than five, as in arXiv 2606.16768. */
const products = 4;

const families = {
  "GPT-2 of 2 × 64, AdamW": {
    rates: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3],
    configuration: {
      model: { model_type: "gpt2", vocab_size: 256, n_positions: 64, n_embd: 64, n_layer: 2, n_head: 4 },
      data: { type: "state-of-the-union" },
      batch: { size: 16 },
      optimizer: { type: "adamw", betas: [0.9, 0.95], weightDecay: 0.1 },
    },
  },
  "MLP of 64-128-128-10, SGD": {
    rates: [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4],
    configuration: {
      model: {
        model_type: "mlp",
        layer_sizes: [64, 128, 128, 10],
        activation: "gelu",
        loss: "cross_entropy",
      },
      data: { type: "synthetic", task: "classification", count: 2048, features: 64, outputs: 10, noise: 0.3 },
      batch: { size: 64 },
      optimizer: { type: "sgd" },
    },
  },
};

const measures = {
  certified: "λc·η/2, certified",
  estimated: "λc·η/2, estimated",
  power: `λmax(P⁻¹H) over its threshold, ${products} products of power iteration from the step before`,
  lanczos: "λmax(P⁻¹H) over its threshold, Lanczos to 2 %",
  norm: "‖∇L‖ over the median of the ten before",
};

async function run(configuration, learningRate, seed) {
  const { model: described, ...rest } = parseConfiguration({
    ...configuration,
    optimizer: { ...configuration.optimizer, learningRate },
    ...{ steps, seed, measure: null, landscape: null },
  });
  const { seed: own, initialization, ...config } = described;
  const model = await createModel(config, { dtype: rest.dtype, seed: own, initialization });
  const data = await TrainingData.open({ ...rest, model: described }, model.config);
  const optimizer = makeOptimizer(model, rest.optimizer);
  const meters = { certified: new SharpnessMeter(), estimated: new SharpnessMeter({ method: "estimated" }) };
  const tracked = {
    power: new Tracked({ method: "power", maximumIterations: products, tolerance: 1e-6 }),
    lanczos: new Tracked({ tolerance: 0.02 }),
  };
  const losses = [];
  const norms = [];
  const numbers = Object.fromEntries(Object.keys(measures).map((name) => [name, []]));
  for (let step = 1; step <= steps; step++) {
    const batch = await data.training(step);
    const gradient = await model.gradient(batch);
    losses.push(gradient.loss);
    if (!Number.isFinite(gradient.loss)) break;
    try {
      await optimizer.accumulate(gradient);
      const direction = await optimizer.direction();
      for (const [name, meter] of Object.entries(meters)) {
        const { criticalLearningRate } = await meter.measure({ model, batch, direction, gradient });
        numbers[name].push(criticalLearningRate ? learningRate / criticalLearningRate : Number.NaN);
      }
      direction.dispose();
      for (const [name, one] of Object.entries(tracked))
        numbers[name].push(
          (await one.measure({ model, optimizer, batch })) / optimizer.threshold(learningRate),
        );
      norms.push(await gradient.gradient.norm());
      numbers.norm.push(step > 10 ? norms.at(-1) / median(norms.slice(-11, -1)) : Number.NaN);
      await optimizer.step({ learningRate });
    } catch (error) {
      if (!/NON_FINITE|DIVERGED|START_VECTOR/.test(error.code)) throw error;
      losses.push(Number.NaN);
      break;
    }
    gradient.gradient.dispose();
  }
  for (const one of Object.values(tracked)) one.dispose();
  optimizer.dispose();
  await data[Symbol.asyncDispose]();
  model.dispose();
  const isOver =
    losses.length === steps && Number.isFinite(losses.at(-1)) && mean(losses.slice(-10)) < losses[0];
  return { learningRate, seed, losses, numbers, diverged: !isOver };
}

const tables = [];
const figures = {};
const chosen = process.argv.slice(2);
for (const [family, { rates, configuration }] of Object.entries(families)) {
  if (chosen.length > 0 && !chosen.some((part) => family.includes(part))) continue;
  const runs = [];
  for (const seed of seeds)
    for (const rate of rates) {
      const found = await run(configuration, rate, seed);
      runs.push(found);
      console.error(family, rate, seed, spikesOf(found.losses).join(" "), found.diverged ? "diverged" : "");
      if (found.diverged) break;
    }
  const rows = Object.entries(measures).map(([name, what]) => {
    const ready = runs.map(({ losses, numbers }) => judged(losses, numbers[name]));
    const areas = [1, 5, horizon].map((ahead) => areaUnderCurve(ready, ahead));
    const threshold = bestThreshold(ready);
    const of = (at) => {
      const { foretold, lead, falseAlarms } = alarms(ready, at);
      return `${figure(100 * foretold)} %, ${figure(lead)}, ${figure(falseAlarms)} %`;
    };
    return [
      what,
      areas.map(figure).join(", "),
      name === "norm" ? "–" : of(1),
      `${of(threshold)} (at ${figure(threshold)})`,
    ];
  });
  const jumps = runs.reduce((sum, { losses }) => sum + judged(losses, []).starts.length, 0);
  const diverged = runs.filter((one) => one.diverged).length;
  tables.push({
    title: `${family}: ${runs.length} runs of up to ${steps} steps, ${jumps} jumps, ${diverged} runs diverged`,
    columns: [
      "number",
      `area under the curve, a jump within 1, 5, ${horizon} steps`,
      "alarm above 1: jumps foretold, median steps ahead, quiet steps with an alarm",
      "alarm above the threshold that tells best, chosen afterwards",
    ],
    rows,
  });
  figures[family] = runs;
}
if (chosen.length === 0)
  await writeTables(
    "spikes",
    "What foretells a jump of the loss",
    tables,
    [
      `Every number at every step of the same runs: of each seed, of ${seeds.length}, learning rates are raised until the run diverges (its loss is not finite, or at the end above the first). A jump: a loss above the median of the ten before by more than five of their standard deviations and by more than 5 % of the first loss, or one that is not finite, with none in the ${horizon} steps before. Steps in which one is going on count for nothing. The area under the curve is the chance that a number before a jump is above one at a quiet step: 0.5 says nothing. A quiet step: one with no jump within ${horizon} steps.`,
      "AdamW's threshold of λmax(P⁻¹H) is its own, SGD's is 2/η. λc is compared with 2/η.",
    ],
    { figures },
  );
