// Training step against eager PyTorch: the same model, batches and threads, in turns.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { AdamW, Batch, createModel, loadModel } from "../dist/index.js";
import { native } from "../dist/torch/load.js";
import { startPeer } from "./peers/python.mjs";
import { ourStep, writeSeries } from "./shared/beside-peer.mjs";
import { gpt, textBatches } from "./shared/models.mjs";
import { figure, spread, writeResults } from "./shared/results.mjs";
import { inTurns, median, ratio } from "./shared/timing.mjs";

const settings = { learningRate: 3e-4, betas: [0.9, 0.95], weightDecay: 0.1, initialLearningRate: 1e-2 };

export async function peerRows() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const { threads } = await native().info();
  try {
    const rows = [];
    for (const size of ["1 M", "10 M"]) rows.push(...(await compare(size, folder, threads)));
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(size, folder, threads) {
  const directory = path.join(folder, size.replace(" ", ""));
  const config = gpt(size);
  const first = await createModel(config, { seed: 1 });
  await first.save(directory);
  first.dispose();
  const rounds = size === "10 M" ? 12 : 24;
  const batches = await makeBatches(config, path.join(directory, "batches.safetensors"), rounds);
  const start = (kind) =>
    startPeer("training.py", [
      directory,
      path.join(directory, "batches.safetensors"),
      `${threads}`,
      kind,
      JSON.stringify(settings),
    ]);
  const peers = { default: start("default"), fused: start("fused") };
  try {
    return await steps(size, directory, batches, peers, rounds);
  } finally {
    for (const peer of Object.values(peers)) peer.stop();
    for (const batch of batches) batch.dispose();
  }
}

async function makeBatches(config, file, count) {
  const made = await textBatches(config, 8, count);
  await writeSeries(file, [8, config.n_positions], made);
  return made.map((data) => Batch.tokens(data));
}

async function steps(size, directory, batches, peers, rounds) {
  const model = await loadModel(directory);
  const optimizer = new AdamW(model, settingsOf());
  const next = { ours: 0, default: 0, fused: 0 };
  const take = (name) => next[name]++ % batches.length;
  const times = await inTurns(
    {
      ours: () => ourStep(model, optimizer, batches[take("ours")]),
      default: () => peers.default.ask({ command: "step", batch: take("default") }),
      fused: () => peers.fused.ask({ command: "step", batch: take("fused") }),
    },
    { rounds },
  );
  optimizer.dispose();
  model.dispose();
  return ["default", "fused"].map((kind) => {
    const measured = ratio(times, "ours", kind);
    return {
      what: `training step / PyTorch eager, AdamW ${kind === "default" ? "as it comes" : "with fused=True"}, GPT-2 of ${size}`,
      bar: "≤ 1.00",
      measured: spread(measured),
      met: measured.median <= 1,
      detail: `${figure(median(times.ours) * 1000)} ms against ${figure(median(times[kind]) * 1000)} ms, 2048 tokens, ${rounds} pairs`,
    };
  });
}

function settingsOf() {
  const { learningRate, betas, weightDecay } = settings;
  return { learningRate, betas, weightDecay };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await writeResults("pytorch", "Against eager PyTorch", await peerRows());
