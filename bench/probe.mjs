// What the probe of a PyTorch training costs the training, and how exact its Δ is beside the difference of weights.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { criticalSharpness, Direction, loadBatch, loadModel, setThreads } from "../dist/index.js";
import { startPeer } from "./peers/python.mjs";
import { duration, figure, spread, writeResults } from "./shared/results.mjs";
import { median, quantile } from "./shared/timing.mjs";

const threads = 1;
/** Every tenth step is probed. */
const every = 10;
/** Of a probed step and two more, whose mean stands for all ten. */
const rounds = 5;
const timed = 3;
const bar = 0.05;

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
const peer = startPeer("probe.py", [], { OMP_NUM_THREADS: String(threads) });

/** The probe's time ÷ that of `every` steps of its round. */
async function shareOfRound(times) {
  const probes = path.join(folder, "probes");
  const { probe, seconds } = await peer.ask({ command: "step", folder: probes });
  let all = seconds;
  for (let i = 1; i < timed; i++) all += (await peer.ask({ command: "step" })).seconds;
  times.probe.push(probe);
  times.step.push(all / timed);
  rmSync(probes, { recursive: true });
  return (probe * timed) / (all * every);
}

async function sharpnessAlong(place, file) {
  const model = await loadModel(place);
  const batch = await loadBatch(path.join(place, "batch.safetensors"));
  const direction = await Direction.load(path.join(place, file), model);
  const gradient = await model.gradient(batch);
  const found = await criticalSharpness({ model, batch, direction, gradient, tolerance: 1e-3 });
  for (const owner of [gradient.gradient, direction, batch, model]) owner.dispose();
  return found.criticalSharpness;
}

const rows = [];
try {
  await setThreads(threads);
  const { parameters, tokens } = await peer.ask({ command: "about", threads });
  for (let i = 0; i < 2; i++) await peer.ask({ command: "step" });
  const times = { probe: [], step: [] };
  const shares = [];
  for (let round = 0; round < rounds; round++) shares.push(await shareOfRound(times));
  const share = { median: median(shares), low: quantile(shares, 0.25), high: quantile(shares, 0.75) };
  rows.push({
    what: "writing a probe at every tenth step ÷ the ten steps",
    bar: `≤ ${bar}`,
    measured: spread(share),
    met: share.median <= bar,
    detail: `GPT-2 of ${figure(parameters / 1e6)} M parameters, AdamW, ${tokens} tokens a step; median and quartiles of ${rounds} rounds; a probe ${duration(median(times.probe))}, a step ${duration(median(times.step))}`,
  });
  for (const learningRate of [1e-3, 1e-6]) {
    const { place, apart } = await peer.ask({ command: "precision", folder, learningRate });
    const [exact, difference] = [
      await sharpnessAlong(place, "direction.safetensors"),
      await sharpnessAlong(place, "difference.safetensors"),
    ];
    rows.push({
      what: `(θ − θ')/η beside the probe's Δ at η = ${learningRate}: ‖difference‖ ÷ ‖Δ‖`,
      bar: "–",
      measured: figure(apart),
      met: null,
      detail: `λc along the probe's Δ ${figure(exact)}, along (θ − θ')/η ${figure(difference)}, each to within 0.1 %`,
    });
  }
} finally {
  peer.stop();
  rmSync(folder, { recursive: true, force: true });
}
await writeResults("probe", "Probes of a training in PyTorch: what they cost it, and how exact Δ is", rows);
