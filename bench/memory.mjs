// What a measurement needs beside what a plain forward pass needs: the peak of resident memory, a fresh process for each mode.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createModel } from "../dist/index.js";
import { gpt, tokenBatch } from "./shared/models.mjs";
import { exactMemory, peakOf } from "./shared/peak.mjs";
import { figure } from "./shared/results.mjs";

const size = "40 M";

async function measureMode(mode) {
  const config = gpt(size);
  const model = await createModel(config, { seed: 1 });
  const { batch } = tokenBatch(config, 4);
  const other = await createModel(config, { seed: 2 });
  const plain = async () => {
    for (let i = 0; i < 3; i++) await model.loss(batch);
  };
  await plain();
  const before = await peakOf(plain);
  // Δ is made while the peak is watched, and is all that is left of the other model: its memory takes that one's place.
  const made = await other.gradient(batch);
  const direction = made.gradient;
  other.dispose();
  await plain();
  const withDelta = await peakOf(plain);
  const measured = await peakOf(async () => {
    for (let i = 0; i < 3; i++)
      await model.loss(batch, { perturbation: { direction, learningRate: 1e-4 * 2 ** i, mode } });
  });
  const largest = Math.max(...model.parameters.map((p) => p.size)) * 4;
  return {
    before,
    withDelta,
    measured,
    parameters: model.parameterCount,
    largest,
    delta: direction.byteLength,
  };
}

export function memoryRows() {
  return ["view", "in-place"].map((mode) => {
    const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), mode], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...exactMemory },
    });
    if (status !== 0) throw new Error(`Expected figures for mode ${mode} but the process failed`);
    const { withDelta, measured, parameters, largest, delta } = JSON.parse(stdout);
    const extra = measured - withDelta;
    const allowed = mode === "view" ? largest + 0.01 * 4 * parameters : 1.05 * parameters;
    const mib = (bytes) => `${figure(bytes / 2 ** 20)} MiB`;
    return {
      what: `memory of a measurement beside weights, activations and Δ, ${mode}`,
      bar: `≤ ${mode === "view" ? "the largest parameter + 1 %" : "1.05 byte a parameter"} (${mib(allowed)})`,
      measured: mib(extra),
      met: extra <= allowed,
      detail: `GPT-2 of ${figure(parameters / 1e6)} M, float32, 1024 tokens; Δ ${mib(delta)}, largest parameter ${mib(largest)}; peak resident memory against a plain pass's in the same process`,
    };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(JSON.stringify(await measureMode(process.argv[2])));
