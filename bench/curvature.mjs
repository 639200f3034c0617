// Critical sharpness beside what it stands for: directional sharpness and the largest Hessian eigenvalue, of MLPs and GPTs
// from 0.1 to 40 million parameters. Arguments: sizes, to measure only these anew.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { directionalSharpness, hessianEigenvalues } from "../dist/curvature/index.js";
import { criticalSharpness, loadModel, SharpnessMeter } from "../dist/index.js";
import { exactMemory, peakOf } from "./shared/peak.mjs";
import { bytes, duration, figure, otherSizes, writeTables } from "./shared/results.mjs";
import { inTurns, mean, median, seconds } from "./shared/timing.mjs";
import { sizes, training } from "./shared/trained.mjs";

/** Steps of training before anything counts, fewer of what takes minutes, and steps that are measured. */
const trainedSteps = (size) => (size === "40 M" ? 24 : 96);
const measured = 12;
const methods = ["interpolated", "bisection"];

/** Seconds of everything along a training run; the model at its end is saved. */
async function times(kind, size, folder) {
  const trained = trainedSteps(size);
  const steps = trained + measured;
  const { model, optimizer, data, batchOf } = await training(kind, size, steps);
  const lines = methods.map((method) => ({
    method,
    meter: new SharpnessMeter({ method, initialLearningRate: 1e-2 }),
    seconds: [],
    passes: [],
  }));
  let start;
  for (let step = 1; ; step++) {
    const batch = batchOf(data(step - 1));
    if (step === 1) start = await eigenvalueTime({ model, batch });
    const gradient = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    if (step > trained - 4) {
      const direction = await optimizer.direction();
      const line = { model, batch, direction, gradient };
      for (const { meter, seconds: taken, passes } of step % 2 ? lines : [...lines].reverse()) {
        let result;
        const time = await seconds(async () => {
          result = await meter.measure(line);
        });
        if (step <= trained) continue;
        taken.push(time);
        passes.push(result.forwardPasses);
      }
      if (step === steps) {
        await model.save(folder);
        const critical = lines.map(({ method, seconds: taken, passes }) => [
          method,
          { seconds: mean(taken), passes: mean(passes) },
        ]);
        const parameters = model.parameterCount;
        const second = await curvatureTimes(line, await preconditionerOf(optimizer));
        return { kind, size, parameters, start, ...Object.fromEntries(critical), ...second };
      }
      direction.dispose();
    }
    await optimizer.step();
    gradient.gradient.dispose();
    batch.dispose();
  }
}

/** AdamW's P; SGD's is 1. */
const preconditionerOf = async (optimizer) => (await optimizer.preconditioner()) ?? undefined;

/** λdir, exactly and by differences, and λmax within 1 % for certain: the residual says so, no reference is needed. */
const second = {
  directional: (line) => directionalSharpness(line),
  differences: (line) => directionalSharpness({ ...line, method: "central-difference" }),
  largest: ({ model, batch }, preconditioner) =>
    hessianEigenvalues({
      model,
      batch,
      ...(preconditioner && { preconditioner }),
      tolerance: 0.01,
      maximumIterations: 1000,
    }),
};

async function curvatureTimes(line, preconditioner) {
  const taken = await inTurns(
    { directional: () => second.directional(line), differences: () => second.differences(line) },
    { rounds: 5, warmup: 1 },
  );
  return {
    directional: { seconds: median(taken.directional) },
    differences: { seconds: median(taken.differences) },
    largest: await eigenvalueTime(line),
    preconditioned: preconditioner ? await eigenvalueTime(line, preconditioner) : null,
  };
}

async function eigenvalueTime(line, preconditioner) {
  let result;
  const time = await seconds(async () => {
    result = await second.largest(line, preconditioner);
  });
  const { iterations, converged, eigenvalues } = result;
  return { seconds: time, iterations, converged, eigenvalue: eigenvalues[0] };
}

/** Peaks of resident memory beside weights, batch, gradient and Δ, in bytes, at the model that was saved. */
async function peaks(kind, size, folder) {
  const { data, batchOf, optimizerOf } = await training(kind, size, 1);
  const model = await loadModel(folder);
  const batch = batchOf(data(0));
  const gradient = await model.gradient(batch);
  const optimizer = optimizerOf(model);
  await optimizer.accumulate(gradient);
  const line = { model, batch, gradient, direction: await optimizer.direction() };
  const calls = {
    ...Object.fromEntries(
      methods.map((method) => [
        method,
        () => criticalSharpness({ ...line, method, initialLearningRate: 1e-3 }),
      ]),
    ),
    ...Object.fromEntries(Object.entries(second).map(([name, call]) => [name, () => call(line)])),
  };
  const found = {};
  for (const [name, call] of Object.entries(calls)) {
    const resident = await peakOf(async () => {});
    found[name] = { peak: (await peakOf(call)) - resident };
  }
  return found;
}

/** In a process of its own. */
function inProcess(what, kind, size, folder) {
  const { status, stdout } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), "--one", what, kind, size, folder],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...(what === "peaks" && exactMemory) },
    },
  );
  if (status !== 0) throw new Error(`Expected figures for ${kind} ${size} but the process failed`);
  return JSON.parse(stdout);
}

const columns = {
  interpolated: "λc, interpolated",
  bisection: "λc, bisection",
  directional: "λdir, one product",
  differences: "λdir, differences",
  largest: "λmax(H), Lanczos to 1 %",
};
const products = ({ iterations, converged }) => `${iterations}${converged ? "" : " (not converged)"}`;
const names = Object.keys(columns);

/** Exponent p of a cost ∝ parametersᵖ: the slope of a straight line through the logarithms. */
function growth(networks, cost) {
  const x = networks.map((n) => Math.log(n.parameters));
  const y = networks.map((n) => Math.log(cost(n)));
  const [mx, my] = [mean(x), mean(y)];
  return mean(x.map((v, i) => (v - mx) * ((y[i] ?? 0) - my))) / mean(x.map((v) => (v - mx) ** 2));
}

/** Where a peak was within what was there before, no power of the parameters describes it. */
const exponent = (p) => (Number.isFinite(p) ? figure(p) : "–");

function tables(networks) {
  const label = (n) => `${n.kind} of ${figure(n.parameters / 1e6)} M`;
  const grown = (cost) =>
    ["GPT", "MLP"].flatMap((kind) => {
      const same = networks.filter((n) => n.kind === kind);
      if (same.length < 2) return [];
      return [
        [`${kind}: grows like parameters^`, ...names.map((name) => exponent(growth(same, cost(name))))],
      ];
    });
  const head = ["network", ...names.map((name) => columns[name])];
  return [
    {
      title: "Time",
      columns: [
        ...head,
        "its products",
        "λmax(P⁻¹H), Lanczos to 1 %",
        "its products",
        "λmax(H) before training",
        "its products",
        "passes of λc",
        "λmax(H) / λc",
        "λmax(P⁻¹H) / λc",
        "λmax(H) before training / λc",
        "λmax(H) / λdir",
      ],
      rows: [
        ...networks.map((n) => [
          label(n),
          ...names.map((name) => duration(n[name].seconds)),
          products(n.largest),
          ...(n.preconditioned
            ? [duration(n.preconditioned.seconds), products(n.preconditioned)]
            : ["P = 1", ""]),
          duration(n.start.seconds),
          products(n.start),
          `${figure(n.interpolated.passes)}, ${figure(n.bisection.passes)}`,
          figure(n.largest.seconds / n.interpolated.seconds),
          n.preconditioned ? figure(n.preconditioned.seconds / n.interpolated.seconds) : "",
          figure(n.start.seconds / n.interpolated.seconds),
          figure(n.largest.seconds / n.directional.seconds),
        ]),
        ...grown((name) => (n) => n[name].seconds).map((row) => [...row, ...Array(10).fill("")]),
      ],
    },
    {
      title: "Peak memory beside weights, batch, gradient and Δ",
      columns: head,
      rows: [
        ...networks.map((n) => [label(n), ...names.map((name) => bytes(n[name].peak))]),
        ...grown((name) => (n) => n[name].peak),
      ],
    },
  ];
}

async function main(chosen) {
  const wanted = sizes.filter((size) => chosen.length === 0 || chosen.includes(size));
  const networks = otherSizes("curvature", "networks", wanted);
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  try {
    for (const size of wanted)
      for (const kind of ["MLP", "GPT"]) {
        console.error(`${kind} ${size}`);
        const network = inProcess("times", kind, size, folder);
        const found = inProcess("peaks", kind, size, folder);
        for (const name of names) network[name].peak = found[name].peak;
        networks.push(network);
      }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  networks.sort((a, b) => a.parameters - b.parameters);
  const notes = [
    `GPT-2 with AdamW on 1,024 tokens of text, MLPs with SGD on 512 examples, float32, after ${trainedSteps()} steps of training (40 M: ${trainedSteps("40 M")}). λc: the mean of ${measured} further steps, warm-started, ε = 1/16; its passes are those of both methods. λdir and λmax(H): at the last of them; Lanczos from a random vector until ‖Hu − λu‖ ≤ λ/100, which bounds the eigenvalue's error.`,
    "Bar: λc takes at least 100 times less time than λmax at 10 M parameters. λc costs about two forward passes and a product about four to six, so that this asks for Lanczos to need some fifty products; how many it needs depends on how far the largest eigenvalue stands out from the others, which is more after some training than before it.",
  ];
  await writeTables("curvature", "Critical sharpness beside the Hessian", tables(networks), notes, {
    networks,
  });
}

const [mode, what, kind, size, folder] = process.argv.slice(2);
if (mode === "--one") console.log(JSON.stringify(await { times, peaks }[what](kind, size, folder)));
else await main(process.argv.slice(2));
