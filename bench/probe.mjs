// What the probe of a PyTorch training costs the training, and how exact its Δ is beside the difference of weights.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { startPeer } from "./peers/python.mjs";
import { duration, figure, spread, writeResults } from "./shared/results.mjs";
import { median, quantile } from "./shared/timing.mjs";

/** One: a busy machine disturbs it least. */
const threads = 1;
/** Every tenth step is probed. */
const every = 10;
/** Of a probed step and one more, whose mean stands for all ten. */
const rounds = 3;
const bar = 0.05;

const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
const peer = startPeer("probe.py", [], { OMP_NUM_THREADS: String(threads) });
const middle = (values) => ({
  median: median(values),
  low: quantile(values, 0.25),
  high: quantile(values, 0.75),
});

const rows = [];
try {
  const { parameters, tokens } = await peer.ask({ command: "about", threads });
  await peer.ask({ command: "step" });
  const found = { step: [], probe: [], wall: [], processor: [] };
  for (let round = 0; round < rounds; round++) {
    const probed = await peer.ask({ command: "step", folder });
    const plain = await peer.ask({ command: "step" });
    const mean = (name) => (probed[name] + plain[name]) / 2;
    found.step.push(mean("step"));
    found.probe.push(probed.probe);
    found.wall.push(probed.probe / (every * mean("step")));
    found.processor.push(probed.probeOfProcessor / (every * mean("stepOfProcessor")));
    process.stderr.write(`round ${round + 1}: ${figure(found.wall.at(-1))}\n`);
  }
  const what = `GPT-2 of ${figure(parameters / 1e6)} M parameters, AdamW, ${tokens} tokens a step, ${threads} thread; median and quartiles of ${rounds} rounds`;
  const times = `a probe ${duration(median(found.probe))}, a step ${duration(median(found.step))}`;
  for (const [of, shares, detail] of [
    ["", found.wall, `${what}; ${times}`],
    [", time of the processor", found.processor, what],
  ])
    rows.push({
      what: `writing a probe at every tenth step ÷ the ten steps${of}`,
      bar: `≤ ${bar}`,
      measured: spread(middle(shares)),
      met: median(shares) <= bar,
      detail,
    });
  for (const learningRate of [1e-3, 1e-6]) {
    const { apart } = await peer.ask({ command: "precision", learningRate });
    rows.push({
      what: `(θ − θ')/η beside the probe's Δ at η = ${learningRate}`,
      bar: "–",
      measured: figure(apart),
      met: null,
      detail: "‖(θ − θ')/η − Δ‖ ÷ ‖Δ‖: what float32 loses where Δ is taken from the weights",
    });
  }
} finally {
  peer.stop();
  rmSync(folder, { recursive: true, force: true });
}
await writeResults("probe", "Probes of a training in PyTorch: what they cost it, and how exact Δ is", rows);
