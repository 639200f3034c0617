// Networks as programs of torch.export, which a peer exports, and their calls in turns with its own.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { loadBatch, loadModel } from "../../dist/index.js";
import { startPeer } from "../peers/python.mjs";
import { inTurns, seconds } from "./timing.mjs";

const small = ["small MLP", "small CNN", "small GPT-2", "small LSTM"];
export const large = ["ResNet-18", "GPT-2 of 10 M"];
export const networks = [...small, ...large];
/** Calls of one turn together take at least so long: less is below what clocks and schedulers can tell apart. */
const turn = 0.02;

/** `{ seconds, cpu }` of calls together, as the peer has them. */
export async function timed(call, repeat) {
  const before = process.cpuUsage();
  const time = await seconds(async () => {
    for (let i = 0; i < repeat; i++) await call();
  });
  const { user, system } = process.cpuUsage(before);
  return { seconds: time, cpu: (user + system) / 1e6 };
}

/** As inTurns, with the processes' own times too: { name: seconds[] } by the clock and of the processors. */
export async function bothTimes(calls, options) {
  const cpu = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));
  const noting = Object.entries(calls).map(([name, call]) => [
    name,
    async () => {
      const found = await call();
      cpu[name].push(found.cpu);
      return found;
    },
  ]);
  const wall = await inTurns(Object.fromEntries(noting), options);
  for (const name of Object.keys(cpu)) cpu[name] = cpu[name].slice(-wall[name].length);
  return { wall, cpu };
}

export async function open(folder, name) {
  return {
    model: await loadModel(path.join(folder, `${name}.pt2`)),
    batch: await loadBatch(path.join(folder, `${name}.safetensors`), { named: true }),
  };
}

export function callsOf({ model, batch }, peer, name, repeat) {
  const gradient = async () => (await model.gradient(batch)).gradient.dispose();
  const theirs = (command) => () => peer.ask({ command, network: name, repeat });
  return {
    loss: () => timed(() => model.loss(batch), repeat),
    eagerLoss: theirs("loss"),
    gradient: () => timed(gradient, repeat),
    eagerGradient: theirs("gradient"),
  };
}

/** How many calls make a turn, two at least, as passes come one after another: the fastest of a few is what a quiet machine takes. */
export async function repeatsOf({ model, batch }) {
  let once = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10 && (i < 2 || once < turn); i++)
    once = Math.min(once, await seconds(() => model.loss(batch)));
  return Math.max(2, Math.ceil(turn / once));
}

/** Runs `body` with a folder of the exported networks and the peer that exported them. */
export async function withPrograms(body) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const peer = startPeer("programs.py", [folder]);
  try {
    for (const network of networks) await peer.ask({ command: "export", network });
    return await body(folder, peer);
  } finally {
    peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
