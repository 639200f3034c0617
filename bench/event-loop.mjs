// The longest time for which the event loop stood still while a run trained and measured.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { AdamW, createModel, readConfiguration, SharpnessMeter, train } from "../dist/index.js";
import { native } from "../dist/torch/load.js";
import { gpt, tokenBatch } from "./shared/models.mjs";
import { figure } from "./shared/results.mjs";

const quickstart = path.join(path.dirname(fileURLToPath(import.meta.url)), "../examples/quickstart.json");

async function longestStall(work) {
  await native().info(); // libtorch is loaded, 0.2 s in one go, before the clock starts
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  return { longest: delay.max / 1e6, usual: delay.percentile(99.9) / 1e6 };
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

export async function eventLoopRows() {
  const runs = {
    "the quickstart's first 200 steps": trainQuickstart,
    "5 steps of a GPT-2 of 40 M": trainLarge,
  };
  const rows = [];
  for (const [name, work] of Object.entries(runs)) {
    const { longest, usual } = await longestStall(work);
    rows.push({
      what: `longest stall of the event loop, ${name}`,
      bar: "≤ 20 ms",
      measured: `${figure(longest)} ms`,
      met: longest <= 20,
      detail: `training and measuring at every step, checkpoints included; 99.9 % of the delays ≤ ${figure(usual)} ms`,
    });
  }
  return rows;
}
