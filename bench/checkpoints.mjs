// λc of a pretrained language model of 260 K parameters: over its own stories and over GSM8K, and over both while it is
// trained on GSM8K. The figure is bench/results/checkpoints.png. The folder of real data is CRITICAL_SHARPNESS_DATA.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { findCheckpoints, measureCheckpoints, train } from "../dist/index.js";
import { figureSize } from "../dist/report/style.js";
import { raster } from "../dist/report/write.js";
import { figure, writeResults } from "./shared/results.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const real = process.env.CRITICAL_SHARPNESS_DATA ?? path.resolve(here, "../../shared/data");
const model = path.join(real, "stories260k");
if (!existsSync(model)) throw new Error(`Expected the real data in "${real}" (CRITICAL_SHARPNESS_DATA)`);
const tokenizer = path.join(model, "tokenizer.json");
// This model was pretrained on stories that only a first token tells apart.
const stories = { files: [path.join(model, "sampled-stories.jsonl")], tokenizer, endOfText: false };
const gsm8k = {
  files: [path.join(real, "gsm8k/train.jsonl")],
  template: "{question}\n{answer}",
  tokenizer,
  endOfText: false,
};
const sources = { "its own stories": stories, GSM8K: gsm8k };
const folder = mkdtempSync(path.join(os.tmpdir(), "checkpoints-"));
const place = (name) => path.join(folder, name);
const plusMinus = ({ mean, standardError }) => `${figure(mean)} ± ${figure(standardError)}`;
const batch = { size: 4, sequence: 256 };
const series = (data, change = {}) => ({
  data,
  batch,
  optimizerState: "none",
  accumulate: 20,
  measure: 10,
  directional: true,
  ...change,
});
const rows = [];

try {
  for (const [name, data] of Object.entries(sources)) {
    console.error(name);
    const configuration = series(data, { measure: 16, parts: ["kinds"], hessian: {} });
    const found = await measureCheckpoints(configuration, { directory: place(name), checkpoints: [model] });
    const [{ criticalSharpness, directionalSharpness, preconditioned, loss, parts }] = found.checkpoints;
    const of = (what, measured, detail) =>
      rows.push({ what: `${what}, ${name}`, bar: "–", measured, met: null, detail });
    const protocol =
      "AdamW (0.9, 0.95), γ = 0.1: 20 batches of 4 × 256 tokens for the moments, mean ± s.e. over 16";
    of("loss", plusMinus(loss), "nats per token");
    of("λc", plusMinus(criticalSharpness), `${protocol}; ${criticalSharpness.nonDescent} non-descent`);
    of("λc, median", figure(criticalSharpness.median ?? Infinity), "over the same batches");
    of("λdir", plusMinus(directionalSharpness), "exact Hessian-vector products");
    of("λmax(P⁻¹H)", plusMinus(preconditioned), "Lanczos, residual within 2 %");
    for (const [kind, part] of Object.entries(parts))
      of(`λc of ${kind}`, plusMinus(part), `along that part of Δ alone; ${part.nonDescent} non-descent`);
  }
  await train(
    {
      model: { directory: model },
      data: gsm8k,
      batch: { ...batch, sampling: "epochs" },
      optimizer: { type: "adamw", learningRate: 1e-3, betas: [0.9, 0.95], weightDecay: 0.1 },
      schedule: { type: "warmup-stable-decay", warmup: 20, decay: 60 },
      steps: 300,
      measure: null,
      landscape: null,
      checkpoint: { every: 30, keep: true },
    },
    { directory: place("run") },
  );
  const checkpoints = await findCheckpoints([path.join(folder, "run/checkpoints/step*")]);
  const along = {};
  for (const [name, data] of Object.entries(sources)) {
    console.error(`${name}, while it is trained on GSM8K`);
    along[name] = await measureCheckpoints(series(data), { directory: place(`${name} along`), checkpoints });
    const [first, last] = [along[name].checkpoints[0], along[name].checkpoints.at(-1)];
    rows.push({
      what: `λc over ${name}, trained on GSM8K for 30 → 300 steps`,
      bar: "–",
      measured: `${plusMinus(first.criticalSharpness)} → ${plusMinus(last.criticalSharpness)}`,
      met: null,
      detail: `loss ${figure(first.loss.mean)} → ${figure(last.loss.mean)}; η = 1e-3, so 2/η = 2000`,
    });
  }
  await draw();
  const tables = Object.fromEntries(
    Object.entries(along).map(([name, { checkpoints: all }]) => [
      name,
      all.map(({ step, criticalSharpness, directionalSharpness, loss }) => {
        return { step, criticalSharpness, directionalSharpness, loss };
      }),
    ]),
  );
  const title = "λc of a pretrained model of 260 K parameters, over its own stories and over GSM8K";
  await writeResults("checkpoints", title, rows, { series: tables });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The figure of each series, one above the other. */
async function draw() {
  const { width, height } = figureSize;
  const panels = Object.keys(sources).map((name, i) =>
    readFileSync(path.join(place(`${name} along`), "figures/critical-sharpness.svg"), "utf8")
      .replace("Critical sharpness over training<", `λc over ${name}, trained on GSM8K<`)
      .replace("<svg ", `<svg y="${i * height}" `),
  );
  const whole = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${2 * height}">${panels.join("")}</svg>`;
  writeFileSync(path.join(here, "results/checkpoints.png"), await raster(whole));
}
