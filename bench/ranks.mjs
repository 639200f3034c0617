// What several processes take that share a model, beside one: `node bench/ranks.mjs`. Memory and processor time of every rank with one
// thread each; the wall time of two ranks beside two threads; how long the ranks take to agree. A process that has the machine for
// itself computes faster than one of several: processor times are compared with as many processes that share nothing. All are medians
// of pairs of runs that take turns.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { AdamW, Batch, createModel, joinGroup, loadModel } from "../dist/index.js";
import { KrylovBasis } from "../dist/models/index.js";
import { native } from "../dist/torch/index.js";
import { peak, resident } from "./shared/peak.mjs";
import { tokenData } from "./shared/processor.mjs";
import { over } from "./shared/ranks.mjs";
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
const [passes, turns] = [5, 3];

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

/** Bytes that one more vector of a Krylov basis takes here. */
async function basisVector(model) {
  const batch = Batch.tokens(tokenData(2, 32, shape.vocab_size));
  const basis = new KrylovBasis(model, batch, { operator: "hessian", microBatch: 1, seed: 1 });
  const bytes = [];
  await basis.start();
  for (const vectors of [2, 6]) {
    for (let i = 0; i < vectors; i++) await basis.step();
    bytes.push(await resident());
  }
  basis.dispose();
  return (bytes[1] - bytes[0]) / 6;
}

/** A rank's part, in a process of its own. */
async function measure({ folder, dtype, out, memory }) {
  const group = await joinGroup();
  await native().info();
  const before = await resident();
  const model = await loadModel(folder, { dtype, group });
  const batch = Batch.tokens(tokenData(rows, length, shape.vocab_size));
  await model.digest(); // reads all that is kept here
  globalThis.gc(); // what it has read
  const found = { read: readOf(path.join(folder, "model.safetensors")), loaded: (await resident()) - before };
  await model.loss(batch, { microBatch: 1 });
  found.used = (await resident()) - before;
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
  const waited = group.waited;
  found.perturbed = await cost(again);
  found.waited = (group.waited - waited) / passes / found.perturbed.wall;
  await plain();
  found.plain = await cost(plain);
  const waits = [];
  for (let i = 0; i < 201; i++) waits.push(await group.meet());
  found.agree = median(waits);
  if (memory) {
    optimizer.dispose();
    found.basisVector = await basisVector(model);
  }
  writeFileSync(path.join(out, `${group.rank}.json`), JSON.stringify(found));
}

const most = (ranks, value) => Math.max(...ranks.map(value));
const sum = (ranks, value) => ranks.reduce((total, one) => total + value(one), 0);

async function main() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-ranks-"));
  const out = [];
  const medianRow = (what, bar, values, detail) => {
    const measured = median(values);
    const of = `${detail}; median of ${values.map(figure).join(", ")}`;
    out.push({ what, bar: `≤ ${figure(bar)}`, measured: figure(measured), met: measured <= bar, detail: of });
  };
  try {
    const model = await createModel(shape);
    await model.save(folder);
    model.dispose();
    const size = readFileSync(path.join(folder, "model.safetensors")).length;
    // Emulated, a pass in bfloat16 takes so long that nothing else shows.
    const { bfloat16 } = await native().info();
    for (const dtype of bfloat16 === "emulated" ? ["float32"] : ["float32", "bfloat16"]) {
      for (const [ranks, peakBar, loadedBar] of [
        [2, 0.65, 0.55],
        [4, 0.4, 0.3],
      ]) {
        const given = { folder, dtype, memory: dtype === "float32" };
        const pairs = [];
        for (let turn = 0; turn < turns; turn++) {
          const each = await over(self, ranks, 1, given, { alone: true });
          pairs.push({ each, all: await over(self, ranks, 1, given) });
        }
        const name = `${ranks} ranks ÷ 1, ${dtype}`;
        const detail = `Llama of 69 M, ${rows} × ${length} tokens`;
        const memory = (value) => pairs.map(({ all, each }) => most(all, value) / most(each, value));
        if (given.memory) {
          medianRow(
            `peak of a rank beside libtorch, gradients and losses, ${name}`,
            peakBar,
            memory((r) => r.peak),
            detail,
          );
          const used = median(memory((r) => r.used));
          medianRow(
            `memory of a loaded model, ${name}`,
            loadedBar,
            memory((r) => r.loaded),
            `${detail}; after a loss, with its rooms for gathers and logits, ${figure(used)}`,
          );
          medianRow(
            `bytes of a vector of a Krylov basis, ${name}`,
            1.05 / ranks,
            memory((r) => r.basisVector),
            "resident memory of six more vectors",
          );
          medianRow(
            `share of the file that a rank reads, ${ranks} ranks`,
            1.05 / ranks,
            pairs.map(({ all }) => most(all, (r) => r.read) / size),
            detail,
          );
        }
        // Each of the others computes what all ranks compute together.
        for (const [pass, bar] of [
          ["perturbed", 1.1],
          ["plain", 1.4],
        ]) {
          const ratios = pairs.map(
            (pair) =>
              sum(pair.all, (r) => r[pass].processor) /
              (sum(pair.each, (r) => r[pass].processor) / pair.each.length),
          );
          medianRow(`processor time of all ranks, a ${pass} loss, ${name}`, bar, ratios, detail);
        }
        if (ranks === 2) {
          const waits = pairs.map((pair) => most(pair.all, (r) => r.waited));
          const which = `${detail}: 512 tokens a gather`;
          medianRow(`wait for weights ÷ a perturbed loss, 2 ranks, ${dtype}`, 0.05, waits, which);
        }
        if (ranks === 2 && dtype === "float32") {
          const agrees = pairs.map((pair) => pair.all[0].agree);
          medianRow("two ranks agree, median ms", 0.5, agrees, detail);
        }
      }
    }
    const pairs = [];
    for (let turn = 0; turn < turns; turn++) {
      const [alone] = await over(self, 1, 2, { folder, dtype: "float32" });
      const both = await over(self, 2, 1, { folder, dtype: "float32" });
      pairs.push(most(both, (r) => r.perturbed.wall) / alone.perturbed.wall);
    }
    medianRow(
      "wall time of 2 ranks of 1 thread ÷ 1 of 2, a perturbed loss",
      1.15,
      pairs,
      "one process of each",
    );
    writeResults("ranks", "Several processes beside one", out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2]) await measure(JSON.parse(process.argv[2]));
else await main();
