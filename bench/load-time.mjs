// The time to load a checkpoint of 3 GB, against Python's safetensors into PyTorch: a fresh process for each load, in turns, the
// file in the system's cache for both. Python is CRITICAL_SHARPNESS_PYTHON, with torch and safetensors; needs 3 GB of disk.
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Batch, createModel, loadModel } from "../dist/index.js";
import { olmo2 } from "./shared/models.mjs";
import { figure, spread, writeResults } from "./shared/results.mjs";
import { inTurns, ratio } from "./shared/timing.mjs";

// Tied, so that the loss of one token reads the embedding too.
const config = olmo2({ vocab_size: 50304, num_hidden_layers: 10, tie_word_embeddings: true });

/** Loads, then reads every weight once: here by the loss of one token, there by sums. Prints both times. */
const python = `
import sys, time
import torch
from safetensors.torch import load_file
start = time.perf_counter()
tensors = load_file(sys.argv[1])
loaded = time.perf_counter()
total = sum(float(t.sum()) for t in tensors.values())
print(loaded - start, time.perf_counter() - start)
`;

async function loadHere(folder) {
  const ids = BigInt64Array.of(1n);
  const batch = Batch.tokens({ inputIds: ids, labels: ids, shape: [1, 1] });
  const tiny = await createModel({ model_type: "mlp", layer_sizes: [1, 1], activation: "tanh", loss: "mse" });
  await tiny.digest(); // libtorch is loaded, as `import torch` has done there
  const started = performance.now();
  const model = await loadModel(folder);
  const loaded = performance.now();
  await model.loss(batch);
  console.log((loaded - started) / 1000, (performance.now() - started) / 1000);
}

/** A file of the model's tensors, filled with one stretch of numbers again and again. */
async function writeCheckpoint(folder) {
  // The names come from a small model of as many layers, whose sizes stand for the large ones.
  const small = { vocab_size: 2, hidden_size: 16, intermediate_size: 8 };
  const heads = { num_attention_heads: 2, num_key_value_heads: 2 };
  const shape = await createModel({ ...config, ...small, ...heads }, { initialization: "zeros" });
  const sizes = Object.fromEntries(Object.entries(small).map(([key, size]) => [size, config[key]]));
  const header = {};
  let end = 0;
  for (const parameter of shape.parameters) {
    const full = parameter.shape.map((size) => sizes[size]);
    const bytes = 4 * full.reduce((n, size) => n * size, 1);
    header[parameter.name] = { dtype: "F32", shape: full, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const text = JSON.stringify(header);
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  const numbers = Buffer.from(Float32Array.from({ length: 1 << 22 }, (_, i) => 0.02 * Math.sin(i)).buffer);
  const file = path.join(folder, "model.safetensors");
  const out = openSync(file, "w");
  writeSync(out, length);
  writeSync(out, head);
  for (let at = 0; at < end; at += numbers.length)
    writeSync(out, numbers, 0, Math.min(numbers.length, end - at));
  closeSync(out);
  writeFileSync(path.join(folder, "config.json"), JSON.stringify(config));
  return file;
}

async function compare() {
  const interpreter = process.env.CRITICAL_SHARPNESS_PYTHON ?? "python3";
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-load-"));
  try {
    const file = await writeCheckpoint(folder);
    const run = (command, args, which) => () => {
      const { status, stdout } = spawnSync(command, args, {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      });
      if (status !== 0) throw new Error(`Expected two times from ${command} but it failed`);
      return { seconds: Number(stdout.trim().split(" ")[which]) };
    };
    const here = [process.execPath, [fileURLToPath(import.meta.url), folder]];
    const there = [interpreter, ["-c", python, file]];
    const rows = [];
    for (const [which, what] of [
      "until the model is there",
      "until every weight has been read once",
    ].entries()) {
      const times = await inTurns(
        { here: run(...here, which), there: run(...there, which) },
        { rounds: 5, warmup: 1 },
      );
      const measured = ratio(times, "here", "there");
      rows.push({
        what: `time to load ${figure(statSync(file).size / 1e9)} GB of float32, ${what} / Python's safetensors into PyTorch`,
        bar: "≤ 1",
        measured: spread(measured),
        met: measured.median <= 1,
        detail: `median ${figure([...times.here].sort((a, b) => a - b)[2])} s against ${figure([...times.there].sort((a, b) => a - b)[2])} s; a process for each load, the libraries loaded before, the file cached`,
      });
    }
    await writeResults("load-time", "Loading a checkpoint", rows);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2]) await loadHere(process.argv[2]);
else await compare();
