// Programs of torch.export against PyTorch itself: losses, gradients and memory of the same modules, in turns.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { setThreads } from "../dist/index.js";
import { startPeer } from "./peers/python.mjs";
import { exactMemory, peakOf, resident } from "./shared/peak.mjs";
import {
  bothTimes,
  callsOf,
  large,
  networks,
  open,
  repeatsOf,
  timed,
  withPrograms,
} from "./shared/programs.mjs";
import { bytes, duration, figure, spread, writeResults } from "./shared/results.mjs";
import { median, ratio } from "./shared/timing.mjs";

/** η of the perturbed losses. */
const learningRate = 1e-3;

async function compare(folder, name, threads, peer) {
  const ours = await open(folder, name);
  await setThreads(threads);
  await peer.ask({ command: "threads", threads });
  const repeat = await repeatsOf(ours);
  const { model, batch } = ours;
  const direction = (await model.gradient(batch)).gradient;
  const perturbation = { direction, learningRate };
  const calls = {
    ...callsOf(ours, peer, name, repeat),
    perturbed: () => timed(() => model.loss(batch, { perturbation }), repeat),
  };
  const rounds = large.includes(name) ? 3 : 20;
  const times = await bothTimes(calls, { rounds, warmup: large.includes(name) ? 1 : 3 });
  direction.dispose();
  model.dispose();
  batch.dispose();
  const limit = large.includes(name) ? 1 : 0.7;
  const where = `${name}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  const row = (what, of, to, bar) => {
    const measured = ratio(times.wall, of, to);
    const each = (one) => duration(median(times.wall[one]) / repeat);
    return {
      what: `${what}, ${where}`,
      bar: bar === null ? "stated" : `≤ ${bar.toFixed(2)}`,
      measured: spread(measured),
      met: bar === null ? null : measured.median <= bar,
      detail: `${each(of)} against ${each(to)}; of the processes' own time ${spread(ratio(times.cpu, of, to))}; ${rounds} pairs of ${repeat}`,
    };
  };
  return [
    row("loss / eager PyTorch", "loss", "eagerLoss", limit),
    row("loss and gradient / eager PyTorch", "gradient", "eagerGradient", limit),
    row("perturbed loss / plain loss", "perturbed", "loss", null),
  ];
}

/** What a gradient takes beyond what the process had before it, in a process of its own. */
async function measurePeak(folder, name) {
  const { model, batch } = await open(folder, name);
  const gradient = async () => (await model.gradient(batch)).gradient.dispose();
  for (let i = 0; i < 2; i++) await gradient();
  const before = await resident();
  return (await peakOf(gradient)) - before;
}

async function memoryRow(folder, name) {
  const { status, stdout } = spawnSync(
    process.execPath,
    [fileURLToPath(import.meta.url), "peak", folder, name],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...exactMemory },
    },
  );
  if (status !== 0) throw new Error(`Expected the peak of ${name} but the process failed`);
  const ours = JSON.parse(stdout);
  const peer = startPeer("programs.py", [folder], exactMemory);
  const theirs = (await peer.ask({ command: "peak", network: name })).bytes;
  peer.stop();
  return {
    what: `memory of a gradient / eager PyTorch, ${name}`,
    bar: "≤ 1.05",
    measured: figure(ours / theirs),
    met: ours / theirs <= 1.05,
    detail: `${bytes(ours)} against ${bytes(theirs)} beyond what a process of its own had before: weights, batch, code`,
  };
}

export const programRows = () =>
  withPrograms(async (folder, peer) => {
    const rows = [];
    for (const name of networks)
      for (const threads of [1, 2]) rows.push(...(await compare(folder, name, threads, peer)));
    peer.stop();
    for (const name of large) rows.push(await memoryRow(folder, name));
    return rows;
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [command, ...args] = process.argv.slice(2);
  if (command === "peak") console.log(JSON.stringify(await measurePeak(...args)));
  else await writeResults("programs", "Programs against PyTorch", await programRows());
}
