// Peak memory of a training step beside what libtorch itself takes: `node bench/train-memory.mjs [other dist]`. A GPT of 10 M weights,
// AdamW, float32, λc at every step; another build's dist folder to compare with.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { figure, writeTables } from "./shared/results.mjs";

const own = fileURLToPath(new URL("../dist", import.meta.url));
const [other] = process.argv.slice(2);
const layers = 12;
const width = 260;
const configuration = {
  model: { model_type: "gpt2", vocab_size: 256, n_positions: 128, n_embd: width, n_layer: layers, n_head: 4 },
  data: { type: "state-of-the-union", tokenizer: "bytes" },
  optimizer: { type: "adamw", learningRate: 1e-3 },
  steps: 4,
  landscape: null,
  checkpoint: { every: 100 },
};

/** MiB at most, and what `code` printed besides. */
function peak(dist, code) {
  const index = JSON.stringify(pathToFileURL(path.join(dist, "index.js")).href);
  const program = `const m = await import(${index}); ${code}; console.log(process.resourceUsage().maxRSS / 1024);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    // Freed memory goes back at once, so that the peak is of what is held.
    env: {
      ...process.env,
      OMP_NUM_THREADS: "1",
      MALLOC_TRIM_THRESHOLD_: "0",
      MALLOC_MMAP_THRESHOLD_: "65536",
    },
  });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout.trim().split("\n").at(-1));
}

const weights = (12 * width ** 2 * layers + (256 + 128) * width) / 1e6;
const vector = (4 * weights * 1e6) / 2 ** 20;
const builds = Object.entries({ "this version": own, ...(other && { "the other": other }) });
const tables = [];
const figures = {};
for (const [size, sequence] of [
  [1, 64],
  [2, 128],
]) {
  const rows = [];
  const beside = [];
  for (const [name, dist] of builds) {
    const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
    const call = (change) => {
      const config = { ...configuration, ...change, batch: { size, sequence } };
      return `await m.train(${JSON.stringify(config)}, { directory: ${JSON.stringify(folder)}, fresh: true })`;
    };
    const base = peak(dist, call({ model: { ...configuration.model, n_embd: 8, n_layer: 1 } }));
    const whole = peak(dist, call({}));
    rmSync(folder, { recursive: true, force: true });
    beside.push(whole - base);
    rows.push([name, figure(base), figure(whole), figure(whole - base), figure((whole - base) / vector)]);
  }
  const ratio = beside[0] / beside[1];
  if (other) rows.push(["ratio", "", "", figure(ratio), ""]);
  figures[`${size} × ${sequence}`] = { beside, ratio };
  tables.push({
    title: `Batches of ${size} × ${sequence} tokens`,
    columns: ["", "tiny model, MiB", "10 M, MiB", "beside, MiB", "vectors"],
    rows,
  });
}
const notes = [
  `${figure(weights)} M weights, ${figure(vector)} MiB a vector of the model's size: θ, m and v are three, the rest is activations. Beside: the peak less that of the same training of a tiny model.`,
];
await writeTables("train-memory", "Memory of training", tables, notes, { figures });
