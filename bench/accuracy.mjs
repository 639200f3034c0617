// The worst errors over the golden cases of test/golden: losses, gradients, directions, critical learning rates.
import { AdamW, criticalSharpness, Sgd, setThreads } from "../dist/index.js";
import { distance, golden, goldenVector, openCase } from "./shared/golden.mjs";
import { figure, writeResults } from "./shared/results.mjs";

const forms = ["view", "in-place"];
const { sgd, adamw } = golden.optimizers;
const optimizers = {
  sgd: (model) => new Sgd(model, { learningRate: 1, weightDecay: sgd.weightDecay }),
  momentum: (model) => new Sgd(model, { learningRate: 1, ...sgd }),
  nesterov: (model) => new Sgd(model, { learningRate: 1, ...sgd, nesterov: true }),
  adamw: (model) => new AdamW(model, { learningRate: 1, ...adamw }),
};

/** The largest of many errors, where it was met, and how many there were. */
class Worst {
  error = 0;
  where = "";
  count = 0;
  add(error, where) {
    this.count++;
    if (error > this.error || Number.isNaN(error)) Object.assign(this, { error, where });
  }
}
const worst = {};
const note = (what, error, where) => {
  worst[what] ??= new Worst();
  worst[what].add(error, where);
};
const off = (received, expected) => Math.abs(received / expected - 1);

async function passes(open) {
  const { name, dtype, model, batches, losses } = open;
  for (const [i, batch] of batches.entries()) {
    for (const microBatch of [undefined, 1, 3])
      note(`loss, ${dtype}`, off(await model.loss(batch, { microBatch }), losses[i]), name);
    if (dtype === "bfloat16") continue;
    for (const microBatch of [undefined, 3]) {
      const { gradient } = await model.gradient(batch, { microBatch });
      note(`gradient, ${dtype}`, await distance(open, `gradient.${i}`, gradient), name);
    }
  }
}

async function directions(open) {
  const { name, dtype, model, batches } = open;
  for (const [kind, make] of Object.entries(optimizers)) {
    const optimizer = make(model);
    for (const i of batches.keys()) await optimizer.accumulate(await goldenVector(open, `gradient.${i}`));
    note(`Δ, ${dtype}`, await distance(open, kind, await optimizer.direction()), `${kind}, ${name}`);
    const preconditioner = await optimizer.preconditioner();
    if (preconditioner)
      note(`preconditioner, ${dtype}`, await distance(open, "preconditioner", preconditioner), name);
  }
}

async function measurements(open) {
  const { name, dtype, model, batches, lines } = open;
  const batch = batches.at(-1);
  const digest = await model.digest();
  const gradient = await model.gradient(batch);
  for (const { vector, points, criticalLearningRate } of lines) {
    const where = `${name} along ${vector}`;
    const direction = await goldenVector(open, vector);
    for (const { learningRate, loss } of points) {
      const [view, inPlace] = await Promise.all(
        forms.map((mode) => model.loss(batch, { perturbation: { direction, learningRate, mode } })),
      );
      note(`loss at θ − ηΔ, ${dtype}`, off(view, loss), where);
      note("forms that differ", Number(!Object.is(view, inPlace)), where);
    }
    for (const method of ["interpolated", "bisection"])
      for (const tolerance of [1 / 16, 1e-3]) {
        const [view, inPlace] = await Promise.all(
          forms.map((perturbation) =>
            criticalSharpness({ model, batch, direction, gradient, method, tolerance, perturbation }),
          ),
        );
        const what = tolerance === 1e-3 ? `${dtype}, ε = 1e-3` : `${method}, ε = 1/16`;
        note(`ηc, ${what}`, off(view.criticalLearningRate, criticalLearningRate), where);
        note("forms that differ", Number(JSON.stringify(view) !== JSON.stringify(inPlace)), where);
        note("weights that differ", Number((await model.digest()) !== digest), where);
      }
  }
}

await setThreads(1); // networks this small take no good from more
for (const name of Object.keys(golden.cases))
  for (const dtype of ["float32", "float64", "bfloat16"]) {
    const open = await openCase(name, dtype);
    await passes(open);
    if (dtype !== "bfloat16") await directions(open);
    await measurements(open);
    for (const owner of [open.model, ...open.batches]) owner.dispose();
  }

const against = "against PyTorch float64";
const bars = [
  ["loss, float32", `loss ${against}, float32`, 2e-6],
  ["loss, float64", `loss ${against}, float64`, 1e-10],
  ["loss, bfloat16", `loss ${against}, bfloat16 compute`, 2 ** -6],
  ["loss at θ − ηΔ, float32", `loss at θ − ηΔ ${against}, float32`, 2e-6],
  ["loss at θ − ηΔ, float64", `loss at θ − ηΔ ${against}, float64`, 1e-10],
  ["loss at θ − ηΔ, bfloat16", `loss at θ − ηΔ ${against}, bfloat16 compute`, 2 ** -6],
  ["gradient, float32", `gradient ${against}, float32, ‖difference‖/‖g‖`, 1e-5],
  ["gradient, float64", `gradient ${against}, float64, ‖difference‖/‖g‖`, 1e-10],
  ["Δ, float32", `Δ of SGD and AdamW after three gradients ${against}, float32`, 1e-5],
  ["Δ, float64", `Δ of SGD and AdamW after three gradients ${against}, float64`, 1e-10],
  ["preconditioner, float32", `preconditioner of AdamW ${against}, float32`, 1e-5],
  ["preconditioner, float64", `preconditioner of AdamW ${against}, float64`, 1e-10],
  ["ηc, interpolated, ε = 1/16", "ηc against a dense scan, interpolated, ε = 1/16, every dtype", 1 / 16],
  ["ηc, bisection, ε = 1/16", "ηc against a dense scan, bisection, ε = 1/16, every dtype", 1 / 16],
  ["ηc, float32, ε = 1e-3", "ηc against a dense scan, ε = 1e-3, float32", 2e-3],
  ["ηc, float64, ε = 1e-3", "ηc against a dense scan, ε = 1e-3, float64", 2e-3],
  ["ηc, bfloat16, ε = 1e-3", "ηc against a dense scan, ε = 1e-3, bfloat16 compute", 0.04],
  ["forms that differ", "results in which view and in-place differ by a bit", 0],
  ["weights that differ", "measurements after which the weights' digest differs", 0],
];
const rows = bars.map(([key, what, bar]) => {
  const { error, where, count } = worst[key];
  const measured = bar === 0 ? `${error === 0 ? 0 : "some"} of ${count}` : figure(error);
  const detail = bar === 0 ? "" : `the worst of ${count}${where && `: ${where}`}`;
  return { what, bar: bar === 0 ? "none" : `≤ ${figure(bar)}`, measured, met: error <= bar, detail };
});
await writeResults("accuracy", "Accuracy against golden values", rows, { torch: golden.torch });
