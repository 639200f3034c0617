// The longest time for which the event loop stood still: while a run trained and measured, in calls on a large model, and in
// making batches.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import {
  AdamW,
  Batch,
  createModel,
  Direction,
  loadModel,
  readConfiguration,
  SharpnessMeter,
  train,
} from "../dist/index.js";
import { native } from "../dist/torch/load.js";
import { gpt, tokenBatch } from "./shared/models.mjs";
import { figure } from "./shared/results.mjs";

const quickstart = path.join(path.dirname(fileURLToPath(import.meta.url)), "../examples/quickstart.json");

async function longestStall(work) {
  await native().info(); // libtorch is loaded, 0.2 s in one go, before the clock starts
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const started = performance.now();
  await work();
  delay.disable();
  const seconds = (performance.now() - started) / 1000;
  return { longest: delay.max / 1e6, usual: delay.percentile(99.9) / 1e6, seconds };
}

/** The same of a loop that does nothing for as long: what the machine's other work makes of it. */
async function idleStall(seconds) {
  const { longest } = await longestStall(() => new Promise((resolve) => setTimeout(resolve, 1000 * seconds)));
  return longest;
}

async function trainQuickstart() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const configuration = await readConfiguration(quickstart, (input) => ({ ...input, steps: 200 }));
  await train(configuration, { directory: folder });
  rmSync(folder, { recursive: true, force: true });
}

async function trainLarge() {
  const config = gpt("40 M");
  const model = await createModel(config);
  const { batch } = tokenBatch(config, 2);
  const optimizer = new AdamW(model, { learningRate: 1e-3 });
  const meter = new SharpnessMeter({ perturbation: "in-place" });
  for (let step = 0; step < 5; step++) {
    const gradient = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    const direction = await optimizer.direction();
    await meter.measure({ model, batch, direction, gradient });
    await optimizer.step();
    direction.dispose();
    gradient.gradient.dispose();
  }
  for (const owner of [model, optimizer, batch]) owner.dispose();
}

/** Creating, saving, loading, digesting and combining 124 M weights. */
async function largeModel() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const model = await createModel(gpt("124 M"));
  await model.save(folder);
  const other = await loadModel(folder);
  await other.digest();
  const direction = await Direction.between(model, other);
  await direction.save(path.join(folder, "direction.safetensors"));
  const again = await Direction.load(path.join(folder, "direction.safetensors"), model);
  await again.norm();
  for (const owner of [model, other, direction, again]) owner.dispose();
  rmSync(folder, { recursive: true, force: true });
}

/** Loading a checkpoint whose header names many tensors: more than dense models have. */
function manyTensors() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-bench-"));
  const layers = 1_000;
  const sizes = Array.from({ length: layers + 1 }, () => 4);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, "config.json"),
    JSON.stringify({ model_type: "mlp", layer_sizes: sizes, activation: "relu", loss: "mse" }),
  );
  const header = {};
  let end = 0;
  for (let i = 0; i < layers; i++)
    for (const [name, shape] of [
      [`layers.${i}.weight`, [4, 4]],
      [`layers.${i}.bias`, [4]],
    ]) {
      const bytes = 4 * shape.reduce((a, b) => a * b, 1);
      header[name] = { dtype: "F32", shape, data_offsets: [end, end + bytes] };
      end += bytes;
    }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path.join(folder, "model.safetensors"), Buffer.concat([length, json, Buffer.alloc(end)]));
  return folder;
}

const ids = 10_000_000;
/** What 10⁷ ids and their labels may come in. */
const forms = {
  Int32Array: (numbers) => numbers,
  Uint32Array: (numbers) => Uint32Array.from(numbers),
  BigInt64Array: (numbers) => {
    const wide = new BigInt64Array(numbers.length);
    const words = new Int32Array(wide.buffer);
    for (let i = 0; i < numbers.length; i++) words[2 * i] = numbers[i];
    return wide;
  },
  "plain arrays": (numbers) => Array.from(numbers),
};

/** Milliseconds of the synchronous call, which holds the event loop from its beginning to its end. */
function batchStall(inputIds, labels) {
  const times = [];
  for (let i = 0; i < 9; i++) {
    const started = performance.now();
    const batch = Batch.tokens({ inputIds, labels, shape: [ids / 1000, 1000] });
    times.push(performance.now() - started);
    batch.dispose();
  }
  times.sort((a, b) => a - b);
  return { shortest: times[0], median: times[4], longest: times[8] };
}

async function stallRows(runs) {
  const rows = [];
  for (const [name, [work, what]] of Object.entries(runs)) {
    const { longest, usual, seconds } = await longestStall(work);
    const idle = await idleStall(Math.min(seconds, 10));
    rows.push({
      what: `longest stall of the event loop, ${name}`,
      bar: "≤ 20 ms",
      measured: `${figure(longest)} ms`,
      met: longest <= 20,
      detail: `${what}; 99.9 % of the delays ≤ ${figure(usual)} ms; an idle loop beside it: ${figure(idle)} ms`,
    });
  }
  return rows;
}

export async function trainingRows() {
  return stallRows({
    "the quickstart's first 200 steps": [
      trainQuickstart,
      "training and measuring at every step, checkpoints included",
    ],
    "5 steps of a GPT-2 of 40 M": [trainLarge, "training and measuring at every step"],
  });
}

export async function callRows() {
  const folder = manyTensors();
  const loadMany = async () => (await loadModel(folder)).dispose();
  try {
    return await stallRows({
      "calls on a GPT-2 of 124 M": [
        largeModel,
        "createModel, save, loadModel, digest, Direction.between, save, load and norm",
      ],
      "loadModel of 2,000 tensors": [
        loadMany,
        "a perceptron of 1,000 layers: nearly all of it is the header",
      ],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function batchRows() {
  await native().info();
  const inputIds = Int32Array.from({ length: ids }, (_, i) => (i * 7919) % 50_000);
  const labels = Int32Array.from({ length: ids }, (_, i) => ((i + 1) * 7919) % 50_000);
  return Object.entries(forms).map(([name, form]) => {
    const { shortest, median, longest } = batchStall(form(inputIds), form(labels));
    return {
      what: `Batch.tokens of 10⁷ ids and 10⁷ labels, ${name}`,
      bar: "≤ 20 ms",
      measured: `${figure(median)} ms`,
      met: median <= 20,
      detail: `the synchronous call, median of 9; ${figure(shortest)}–${figure(longest)} ms`,
    };
  });
}
