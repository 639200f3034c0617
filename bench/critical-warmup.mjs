// A warm-up by ηc against linear ones of several lengths, over five seeds: a small GPT on real text, at learning rates up to those that
// break it. `node bench/critical-warmup.mjs`
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { train } from "../dist/index.js";
import { figure, writeTables } from "./shared/results.mjs";
import { spikesOf } from "./shared/spikes.mjs";
import { mean, median } from "./shared/timing.mjs";

const steps = 300;
const seeds = [1, 2, 3, 4, 5];
const rates = [0.003, 0.01, 0.03, 0.1];
const schedules = {
  "no warm-up": { type: "constant", warmup: 0 },
  "linear, 10 steps": { type: "constant", warmup: 10 },
  "linear, 30 steps": { type: "constant", warmup: 30 },
  "linear, 100 steps": { type: "constant", warmup: 100 },
  "half of ηc": { type: "critical", fraction: 0.5 },
  "a quarter of ηc": { type: "critical", fraction: 0.25 },
};
const work = mkdtempSync(path.join(os.tmpdir(), "warmup-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

async function run(name, schedule, learningRate, seed) {
  const directory = path.join(work, `${name}-${learningRate}-${seed}`.replaceAll(" ", "-"));
  const measured = schedule.type === "critical";
  const configuration = {
    model: { model_type: "gpt2", vocab_size: 256, n_positions: 64, n_embd: 64, n_layer: 2, n_head: 4 },
    data: { type: "state-of-the-union" },
    batch: { size: 16 },
    optimizer: { type: "adamw", learningRate, betas: [0.9, 0.95], weightDecay: 0.1 },
    ...{ schedule, steps, seed },
    measure: measured ? { method: "estimated" } : null,
    landscape: null,
    validation: { every: steps, batches: 16, fraction: 0.05 },
    checkpoint: { every: steps },
  };
  let isOver = true;
  await train(configuration, { directory }).catch((error) => {
    if (error.code !== "ERR_DIVERGED") throw error;
    isOver = false;
  });
  const records = readFileSync(path.join(directory, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  rmSync(directory, { recursive: true });
  const made = records.filter(({ type }) => type === "step");
  const losses = made.map(({ loss }) => loss);
  const validation = records.find(({ type }) => type === "validation")?.loss;
  const seconds = made.reduce((sum, step) => sum + step.seconds, 0);
  const measuring = made.reduce((sum, { measurement }) => sum + (measurement?.seconds ?? 0), 0);
  return {
    validation: isOver ? validation : Infinity,
    spikes: spikesOf(losses).length,
    // Step at which η is first within 1 % of the schedule's.
    reached: made.find(({ learningRate: rate }) => rate >= 0.99 * learningRate)?.step ?? Infinity,
    cost: measuring / seconds,
    passes: measured ? mean(made.map(({ measurement }) => measurement.forwardPasses)) : 0,
  };
}

const rows = [];
const figures = {};
for (const learningRate of rates)
  for (const [name, schedule] of Object.entries(schedules)) {
    const found = [];
    for (const seed of seeds) found.push(await run(name, schedule, learningRate, seed));
    const losses = found.map(({ validation }) => validation ?? Infinity);
    const finite = losses.filter(Number.isFinite);
    const deviation = Math.sqrt(
      mean(finite.map((loss) => (loss - mean(finite)) ** 2)) * (finite.length / (finite.length - 1)),
    );
    figures[`${learningRate} ${name}`] = found;
    rows.push([
      figure(learningRate),
      name,
      `${mean(losses).toFixed(4)} ± ${(deviation / Math.sqrt(finite.length)).toFixed(4)}`,
      losses.map((loss) => (Number.isFinite(loss) ? loss.toFixed(3) : "diverged")).join(", "),
      figure(mean(found.map(({ spikes }) => spikes))),
      `${median(found.map(({ reached }) => reached))}`,
      found[0].passes === 0
        ? "–"
        : `${figure(median(found.map(({ cost }) => cost)))} (${figure(mean(found.map(({ passes }) => passes)))} passes)`,
    ]);
    console.error(rows.at(-1).join(" | "));
  }
await writeTables(
  "critical-warmup",
  "A warm-up by ηc against linear warm-up",
  [
    {
      columns: [
        "highest η",
        "warm-up",
        "validation loss, mean ± s.e.",
        "of each seed",
        "spikes a run",
        "step at which η is reached",
        "measuring ÷ training",
      ],
      rows,
    },
  ],
  [
    `A GPT-2 of 2 × 64 on State of the Union addresses, byte by byte, batches of 16 × 64, AdamW (0.9, 0.95, 0.1), ${steps} steps, five seeds.`,
  ],
  { figures },
);
