// Hessian-vector products and the largest Hessian eigenvalue against the Python tools: the same weights, batch and threads,
// in turns. Arguments: sizes, to measure only these anew.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { hessianEigenvalues } from "../dist/curvature/index.js";
import { Curvature, criticalSharpness, Direction, loadBatch, loadModel } from "../dist/index.js";
import { native } from "../dist/torch/load.js";
import { writeBatch } from "./shared/batch-file.mjs";
import { exactMemory, peakOf } from "./shared/peak.mjs";
import { ladders, loosest, startTools, tools } from "./shared/python-tools.mjs";
import { bytes, duration, figure, measureSizes, spread } from "./shared/results.mjs";
import { inTurns, median, ratio } from "./shared/timing.mjs";
import { training } from "./shared/trained.mjs";

const steps = 96;

/** A network after some training, and the batch of the next step, in files. */
async function prepare(kind, size, folder) {
  const { model, optimizer, data, batchOf } = await training(kind, size, steps + 1);
  for (let step = 0; step < steps; step++) {
    const batch = batchOf(data(step));
    const gradient = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    await optimizer.step();
    gradient.gradient.dispose();
    batch.dispose();
  }
  await model.save(folder);
  await writeBatch(path.join(folder, "batch.safetensors"), data(steps));
}

async function open(folder) {
  return {
    model: await loadModel(folder),
    batch: await loadBatch(path.join(folder, "batch.safetensors")),
  };
}

async function compare(kind, size, folder) {
  await prepare(kind, size, folder);
  const { threads } = await native().info();
  const { model, batch } = await open(folder);
  const label = `${kind} of ${figure(model.parameterCount / 1e6)} M`;
  const peers = startTools(folder, threads);
  try {
    const products = await productRow(label, model, batch, peers);
    const { rows, settings } = await eigenvalueRows(label, model, batch, peers);
    for (const peer of Object.values(peers)) peer.stop();
    const memory = await memoryRow(label, folder, startTools(folder, threads, exactMemory), settings);
    const of = { size, parameters: model.parameterCount };
    return [products, ...rows, memory].map((row) => ({ ...row, ...of }));
  } finally {
    for (const peer of Object.values(peers)) peer.stop();
  }
}

async function productRow(label, model, batch, peers) {
  const curvature = new Curvature(model, batch);
  const vector = await Direction.random(model, { seed: 1 });
  const times = await inTurns(
    {
      ours: async () => (await curvature.product(vector)).product.dispose(),
      ...Object.fromEntries(tools.map((tool) => [tool, () => peers[tool].ask({ command: "hvp" })])),
    },
    { rounds: 7, warmup: 2 },
  );
  curvature.dispose();
  vector.dispose();
  return against(`Hessian-vector product, ${label}`, times);
}

/** A row: our time over the fastest tool's. */
function against(what, times, detail = "") {
  const fastest = [...tools].sort((a, b) => median(times[a]) - median(times[b]))[0];
  const measured = ratio(times, "ours", fastest);
  const each = ["ours", ...tools].map((tool) => `${tool} ${duration(median(times[tool]))}`).join(", ");
  return {
    what: `${what} / the fastest Python tool's`,
    bar: "≤ 1.0",
    measured: `${spread(measured)} of ${fastest}'s`,
    met: measured.median <= 1,
    detail: `${each}${detail}`,
  };
}

async function eigenvalueRows(label, model, batch, peers) {
  const exact = await hessianEigenvalues({ model, batch, tolerance: 1e-3, maximumIterations: 1000 });
  const reference = exact.eigenvalues[0];
  const ask = {
    ours: async (setting) => {
      const { eigenvalues, iterations } = await hessianEigenvalues({ model, batch, ...setting });
      return { eigenvalue: eigenvalues[0], products: iterations };
    },
    ...Object.fromEntries(
      tools.map((tool) => [tool, (setting) => peers[tool].ask({ command: "largest", ...setting })]),
    ),
  };
  const once = {};
  for (const tool of Object.keys(ladders)) once[tool] = await loosest(tool, ask[tool], reference);
  const settings = Object.fromEntries(Object.entries(once).map(([tool, { setting }]) => [tool, setting]));
  // Who takes more than twice the fastest tool's time does not take part in the turns: once was enough to see that.
  const limit = 2 * Math.min(...tools.map((tool) => once[tool].seconds));
  const calls = Object.fromEntries(
    Object.entries(settings)
      .filter(([tool]) => tool === "ours" || once[tool].seconds <= limit)
      .map(([tool, setting]) => [tool, () => ask[tool](setting)]),
  );
  calls.critical = await criticalCall(model, batch);
  const times = await inTurns(calls, { rounds: 3, warmup: 0 });
  for (const tool of tools) times[tool] ??= Array(3).fill(once[tool].seconds);
  const took = Object.entries(once).map(([tool, { products }]) => `${tool} ${products}`);
  const fastest = Math.min(...tools.map((tool) => median(times[tool])));
  const slowest = Math.max(...tools.map((tool) => median(times[tool])));
  const critical = median(times.critical);
  return {
    settings,
    rows: [
      against(
        `λmax to 1 %, ${label}`,
        times,
        `; products: ${took.join(", ")}; each tool with the loosest of its settings that is within 1 % of ${figure(reference)}`,
      ),
      {
        what: `λmax to 1 % by the Python tools / λc, ${label}`,
        bar: "–",
        measured: `${figure(fastest / critical)} to ${figure(slowest / critical)}`,
        met: null,
        detail: `λc along the gradient, warm-started at its own answer: ${duration(critical)}; λmax here / λc: ${figure(median(times.ours) / critical)}`,
      },
    ],
  };
}

/** λc along the gradient, from where the search before ended, as in the course of training. */
async function criticalCall(model, batch) {
  const gradient = await model.gradient(batch);
  const line = { model, batch, direction: gradient.gradient, gradient };
  const { criticalLearningRate } = await criticalSharpness(line);
  return () => criticalSharpness({ ...line, initialLearningRate: criticalLearningRate });
}

async function memoryRow(label, folder, peers, settings) {
  const peaks = { ours: ourPeak(folder, settings.ours) };
  try {
    for (const [tool, peer] of Object.entries(peers)) {
      await peer.ask({ command: "peak" });
      const { bytes: resident } = await peer.ask({ command: "peak" });
      await peer.ask({ command: "largest", ...settings[tool] });
      peaks[tool] = (await peer.ask({ command: "peak" })).bytes - resident;
    }
  } finally {
    for (const peer of Object.values(peers)) peer.stop();
  }
  const leanest = [...tools].sort((a, b) => peaks[a] - peaks[b])[0];
  const measured = peaks.ours / peaks[leanest];
  return {
    what: `peak memory of λmax to 1 %, ${label} / the leanest Python tool's`,
    bar: "≤ 1.0",
    measured: `${figure(measured)} of ${leanest}'s`,
    met: measured <= 1,
    detail: `resident memory beside what was there when the network and the batch were: ${Object.entries(
      peaks,
    )
      .map(([tool, peak]) => `${tool} ${bytes(peak)}`)
      .join(", ")}`,
  };
}

/** In a process of its own. */
function ourPeak(folder, setting) {
  const { status, stdout } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), "--peak", folder, JSON.stringify(setting)],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...exactMemory } },
  );
  if (status !== 0) throw new Error("Expected the peak of memory but the process failed");
  return JSON.parse(stdout).bytes;
}

async function peak(folder, setting) {
  const { model, batch } = await open(folder);
  const resident = await peakOf(() => model.loss(batch)); // the mapped weights are read
  const now = await peakOf(async () => {});
  const most = await peakOf(() => hessianEigenvalues({ model, batch, ...setting }));
  return { bytes: most - Math.min(now, resident) };
}

async function main(chosen) {
  const sizes = chosen.length > 0 ? chosen : ["0.1 M", "1 M", "10 M"];
  const title = "Second derivatives against the Python tools";
  await measureSizes("curvature-peers", title, { sizes, kinds: ["MLP", "GPT"] }, compare);
}

if (process.argv[2] === "--peak")
  console.log(JSON.stringify(await peak(process.argv[3], JSON.parse(process.argv[4]))));
else await main(process.argv.slice(2));
