// What it costs to know the curvature at every step of a training, and by what: λc here, the paper's procedure in PyTorch, eager and
// compiled, a power iteration that goes on from step to step, and λmax by the Python tools. The same training, batches and threads, in
// turns. `node bench/every-step.mjs [size …]`
import path from "node:path";
import { hessianEigenvalues } from "../dist/curvature/index.js";
import { SharpnessMeter } from "../dist/index.js";
import { native } from "../dist/torch/load.js";
import { startPeer } from "./peers/python.mjs";
import { writeBatch } from "./shared/batch-file.mjs";
import { measurementsBeside, withMeter, writeSeries } from "./shared/beside-peer.mjs";
import { loosest, startTools, tools } from "./shared/python-tools.mjs";
import { duration, figure, measureSizes } from "./shared/results.mjs";
import { mean } from "./shared/timing.mjs";
import { Tracked } from "./shared/tracked.mjs";
import { training } from "./shared/trained.mjs";

/** Steps before the first measurement: in the first dozens ηc jumps tenfold from step to step, whoever looks for it. */
const trained = 96;
/** Measurements that do not count: they start from nothing, and what estimates go by is learnt in them. */
const cold = 24;
const rounds = { "1 M": 48, "10 M": 24 };
const initialLearningRate = 1e-2;

/** λmax by each of the tools, once. */
async function byTools(folder, model, batch, data) {
  await model.save(folder);
  await writeBatch(path.join(folder, "batch.safetensors"), data);
  const exact = await hessianEigenvalues({ model, batch, tolerance: 1e-3, maximumIterations: 1000 });
  const { threads } = await native().info();
  const peers = startTools(folder, threads);
  const found = {};
  try {
    const ours = async (setting) => {
      const { eigenvalues, iterations } = await hessianEigenvalues({ model, batch, ...setting });
      return { eigenvalue: eigenvalues[0], products: iterations };
    };
    found.ours = await loosest("ours", ours, exact.eigenvalues[0]);
    for (const tool of tools) {
      const ask = (setting) => peers[tool].ask({ command: "largest", ...setting });
      found[tool] = await loosest(tool, ask, exact.eigenvalues[0]);
    }
  } finally {
    for (const peer of Object.values(peers)) peer.stop();
  }
  return found;
}

async function compare(kind, size, folder) {
  const steps = trained + cold + rounds[size];
  const { model, optimizer, settings, data, batchOf } = await training(kind, size, steps + 1);
  const { threads } = await native().info();
  const batches = Array.from({ length: steps }, (_, i) => batchOf(data(i)));
  let peer;
  if (kind === "GPT") {
    await model.save(folder);
    const series = path.join(folder, "batches.safetensors");
    const made = batches.map((_, i) => data(i));
    await writeSeries(series, made[0].shape, made);
    const given = JSON.stringify({ ...settings, initialLearningRate });
    peer = startPeer("training.py", [folder, series, `${threads}`, "fused", given]);
  }
  const power = new Tracked({ method: "power", maximumIterations: 4, tolerance: 1e-6 });
  const measures = {
    estimated: withMeter(new SharpnessMeter({ initialLearningRate, method: "estimated" })),
    certified: withMeter(new SharpnessMeter({ initialLearningRate })),
    power: async (line) => ({ eta: await power.measure(line), passes: 4 }),
  };
  try {
    const how = { model, optimizer, batches, measures, trained, cold, request: { all: true } };
    const found = await measurementsBeside(peer, how);
    const last = batchOf(data(steps));
    const largest = await byTools(folder, model, last, data(steps));
    last.dispose();
    const { parameterCount: parameters } = model;
    const rows = rowsOf(`${kind} of ${figure(parameters / 1e6)} M`, size, found, largest);
    return rows.map((row) => ({ ...row, size, parameters }));
  } finally {
    peer?.stop();
    for (const thing of [power, optimizer, model, ...batches]) thing.dispose();
  }
}

function rowsOf(label, size, found, largest) {
  const of = (value) => mean(found.map(value));
  const seconds = (name) => of((round) => round[name].seconds);
  const times = (name) =>
    `${duration(seconds(name))} and ${figure(of((round) => round[name].passes))} passes`;
  const rows = [];
  const row = (what, measured, detail, bar) => {
    const met = bar ? (bar.most ? measured <= bar.most : measured >= bar.least) : null;
    const text = bar ? (bar.most ? `≤ ${bar.most}` : `≥ ${bar.least}`) : "–";
    rows.push({ what: `${what}, ${label}`, bar: text, measured: figure(measured), met, detail });
  };
  const isLarge = size === "10 M";
  const isBeside = found[0].peer !== undefined;
  const step = of((round) => round.step);
  const bars = { estimated: { most: 0.5 }, certified: { most: 0.85 } };
  for (const method of ["estimated", "certified"])
    row(
      `λc ${method} ÷ a training step`,
      seconds(method) / step,
      `Δ and search at ε = 1/16: ${times(method)}; the step ${duration(step)}; ${found.length} steps after ${trained + cold}`,
      isLarge && isBeside ? bars[method] : undefined,
    );
  row(
    "power iteration of four products here ÷ a training step",
    seconds("power") / step,
    duration(seconds("power")),
  );
  if (isBeside) {
    const theirs = (name) => (name === "eager" ? (round) => round.peer : (round) => round.peer[name]);
    const time = (name) => of((round) => theirs(name)(round).seconds);
    const theirStep = of((round) => round.peer.step);
    const kinds = {
      eager: "the paper's procedure in eager PyTorch",
      compiled: "the paper's procedure, its passes compiled",
      power: "power iteration of four products in PyTorch",
    };
    for (const [kind, what] of Object.entries(kinds)) {
      const detail = `${duration(time(kind))} and ${figure(of((round) => theirs(kind)(round).passes))} ${kind === "power" ? "products" : "passes"}; the step there ${duration(theirStep)}`;
      row(`${what} ÷ a training step there`, time(kind) / theirStep, detail);
      for (const [method, most] of [
        ["estimated", 0.28],
        ["certified", 0.45],
      ])
        row(
          `λc ${method} ÷ ${what}`,
          seconds(method) / time(kind),
          detail,
          kind === "eager" ? { most } : undefined,
        );
    }
  }
  for (const [tool, { seconds: time, products }] of Object.entries(largest)) {
    const name = tool === "ours" ? "Lanczos here" : tool;
    row(
      `λmax to 1 % by ${name} ÷ λc estimated`,
      time / seconds("estimated"),
      `${duration(time)}, ${products} products; ${figure(time / step)} training steps; certified λc: ${figure(time / seconds("certified"))}`,
      isLarge && tool !== "ours" ? { least: 50 } : undefined,
    );
  }
  return rows;
}

const given = process.argv.slice(2);
const sizes = given.length > 0 ? given : ["1 M", "10 M"];
await measureSizes(
  "every-step",
  "Curvature at every step of a training",
  { sizes, kinds: ["GPT", "MLP"] },
  compare,
);
