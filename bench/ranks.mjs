// What several processes take that share a model, beside one: `node bench/ranks.mjs`. Memory and processor time of every rank with one
// thread each; the wall time of two ranks beside two threads, in turns; how long the ranks take to agree.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { AdamW, Batch, createModel, joinGroup, loadModel } from "../dist/index.js";
import { native } from "../dist/torch/index.js";
import { peak, resident } from "./shared/peak.mjs";
import { tokenData } from "./shared/processor.mjs";
import { figure, writeResults } from "./shared/results.mjs";

// 69 M parameters, of which each rank keeps a part, as the design's prototype had them.
const shape = {
  model_type: "llama",
  vocab_size: 8192,
  hidden_size: 768,
  intermediate_size: 2048,
  num_hidden_layers: 8,
  num_attention_heads: 12,
  max_position_embeddings: 512,
};
const [rows, length] = [4, 256];
const passes = 5;

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const self = fileURLToPath(import.meta.url);
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Bytes of a file's mapping that were read. */
function readOf(file) {
  let bytes = 0;
  let ours = false;
  for (const line of readFileSync("/proc/self/smaps", "utf8").split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) ours = line.endsWith(file);
    else if (ours && line.startsWith("Rss:")) bytes += Number(/\d+/.exec(line)[0]) * 1024;
  }
  return bytes;
}

async function cost(call) {
  const [before, start] = [process.cpuUsage(), performance.now()];
  for (let i = 0; i < passes; i++) await call();
  const { user, system } = process.cpuUsage(before);
  return { processor: (user + system) / 1e6 / passes, wall: (performance.now() - start) / 1000 / passes };
}

/** A rank's part, in a process of its own. */
async function measure({ folder, dtype, out }) {
  const group = await joinGroup();
  await native().info();
  const before = resident();
  const model = await loadModel(folder, { dtype, group });
  const batch = Batch.tokens(tokenData(rows, length, shape.vocab_size));
  await model.loss(batch, { microBatch: 1 });
  const found = { read: readOf(path.join(folder, "model.safetensors")), loaded: resident() - before };
  const optimizer = new AdamW(model, { learningRate: 1e-4 });
  for (let i = 0; i < 2; i++) await optimizer.accumulateFrom(batch, { microBatch: 1 });
  const direction = await optimizer.direction({ stored: false });
  const perturbed = () =>
    model.loss(batch, { microBatch: 1, perturbation: { direction, learningRate: 1e-4 } });
  const plain = () => model.loss(batch, { microBatch: 1 });
  await perturbed();
  await optimizer.step();
  found.peak = peak() - before;
  const moved = await optimizer.direction({ stored: false });
  const again = () =>
    model.loss(batch, { microBatch: 1, perturbation: { direction: moved, learningRate: 1e-4 } });
  await again();
  found.perturbed = await cost(again);
  await plain();
  found.plain = await cost(plain);
  const waits = [];
  for (let i = 0; i < 201; i++) waits.push(await group.meet());
  found.agree = median(waits);
  writeFileSync(path.join(out, `${group.rank}.json`), JSON.stringify(found));
}

function over(ranks, threads, given) {
  const out = mkdtempSync(path.join(given.folder, "out-"));
  mkdirSync(out, { recursive: true });
  const ended = spawnSync(
    process.execPath,
    [
      command,
      "launch",
      "--ranks",
      String(ranks),
      "--",
      process.execPath,
      self,
      JSON.stringify({ ...given, out }),
    ],
    { stdio: "inherit", env: { ...process.env, OMP_NUM_THREADS: String(threads) } },
  );
  if (ended.status !== 0) throw new Error(`${ranks} ranks ended with ${ended.status}`);
  return Array.from({ length: ranks }, (_, rank) =>
    JSON.parse(readFileSync(path.join(out, `${rank}.json`), "utf8")),
  );
}

const most = (ranks, value) => Math.max(...ranks.map(value));
const sum = (ranks, value) => ranks.reduce((total, one) => total + value(one), 0);

async function main() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-ranks-"));
  const out = [];
  const row = (what, bar, measured, met, detail) =>
    out.push({ what, bar, measured: figure(measured), met, detail });
  try {
    const model = await createModel(shape);
    await model.save(folder);
    model.dispose();
    const size = readFileSync(path.join(folder, "model.safetensors")).length;
    // Emulated, a pass in bfloat16 takes so long that nothing else shows.
    const { bfloat16 } = await native().info();
    for (const dtype of bfloat16 === "emulated" ? ["float32"] : ["float32", "bfloat16"]) {
      const [one] = over(1, 1, { folder, dtype });
      for (const [ranks, peakBar, loadedBar] of [
        [2, 0.65, 0.55],
        [4, 0.4, 0.3],
      ]) {
        const all = over(ranks, 1, { folder, dtype });
        const name = `${ranks} ranks ÷ 1, ${dtype}`;
        const detail = `Llama of 69 M, ${rows} × ${length} tokens`;
        const ratio = (value) => most(all, value) / value(one);
        if (dtype === "float32") {
          row(
            `peak of a rank beside libtorch, gradients and losses, ${name}`,
            `≤ ${peakBar}`,
            ratio((r) => r.peak),
            ratio((r) => r.peak) <= peakBar,
            detail,
          );
          row(
            `memory of a loaded model after a loss, ${name}`,
            `≤ ${loadedBar}`,
            ratio((r) => r.loaded),
            ratio((r) => r.loaded) <= loadedBar,
            detail,
          );
          const read = most(all, (r) => r.read) / size;
          row(
            `share of the file that a rank reads, ${ranks} ranks`,
            `≤ ${figure(1.05 / ranks)}`,
            read,
            read <= 1.05 / ranks,
            detail,
          );
        }
        const perturbed = sum(all, (r) => r.perturbed.processor) / one.perturbed.processor;
        const plain = sum(all, (r) => r.plain.processor) / one.plain.processor;
        row(
          `processor time of all ranks, a perturbed loss, ${name}`,
          "≤ 1.10",
          perturbed,
          perturbed <= 1.1,
          detail,
        );
        row(`processor time of all ranks, a plain loss, ${name}`, "≤ 1.4", plain, plain <= 1.4, detail);
        if (ranks === 2 && dtype === "float32")
          row("two ranks agree, median ms", "≤ 0.5", all[0].agree, all[0].agree <= 0.5, detail);
      }
    }
    const pairs = Array.from({ length: 3 }, () => {
      const [alone] = over(1, 2, { folder, dtype: "float32" });
      return most(over(2, 1, { folder, dtype: "float32" }), (r) => r.perturbed.wall) / alone.perturbed.wall;
    });
    row(
      "wall time of 2 ranks of 1 thread ÷ 1 of 2, a perturbed loss",
      "≤ 1.15",
      median(pairs),
      median(pairs) <= 1.15,
      `median of ${pairs.map(figure).join(", ")}`,
    );
    writeResults("ranks", "Several processes beside one", out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2]) await measure(JSON.parse(process.argv[2]));
else await main();
