// The report of a run of a million steps, each of them measured: time, memory, and the size of the page. Needs 1 GB of disk.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { peak } from "./shared/peak.mjs";
import { duration, figure, writeResults } from "./shared/results.mjs";

const steps = 1_000_000;
const configuration = {
  model: { model_type: "mlp", layer_sizes: [6, 16, 3], activation: "tanh", loss: "mse" },
  data: { type: "synthetic", task: "regression", count: 200, features: 6, outputs: 3 },
  batch: { size: 20 },
  optimizer: { type: "sgd", learningRate: 0.003 },
  steps,
};

function* records() {
  for (let n = 1; n <= steps; n++) {
    const noise = ((n * 7919) % 10007) / 10007;
    const learningRate = 3e-3 * Math.min(1, n / 2e5);
    const sharpness = (500 + n / 2000) * Math.exp(noise - 0.5);
    const status = noise < 0.03 ? "unresolved" : noise < 0.06 ? "non-descent" : "converged";
    const measurement = {
      status,
      reason: status === "unresolved" ? "noise" : null,
      firstCrossing: "bracketed",
      criticalLearningRate: status === "converged" ? 2 / sharpness : null,
      criticalSharpness: status === "converged" ? sharpness : null,
      lower: 1.97 / sharpness,
      upper: 2.03 / sharpness,
      slope: noise,
      baseLoss: 3 + noise,
      noise: null,
      evaluations: [1, 2, 3].map((i) => ({ learningRate: i / sharpness, loss: 3 + noise })),
      forwardPasses: 3 + (n % 4),
      seconds: 0.5,
    };
    const step = { step: n, tokens: 20 * n, loss: 3 + 2 * Math.exp(-n / 1e5) + 0.1 * noise, learningRate };
    yield { type: "step", ...step, gradientNorm: noise, seconds: 0.2, measurement };
    if (n % 10 === 0) yield { type: "validation", step: n, loss: 3 + noise };
    if (n % 100 === 0)
      yield {
        ...{ type: "curvature", step: n, learningRate, preconditioned: null },
        hessian: { eigenvalue: 300 + noise, residual: 30 * noise, iterations: 10, converged: noise > 0.2 },
        ...{ directionalSharpness: 100 * noise - 5, threshold: 2 / learningRate, seconds: 1 },
      };
  }
}

async function writeRun(directory) {
  writeFileSync(path.join(directory, "config.json"), JSON.stringify(configuration));
  const file = await open(path.join(directory, "metrics.jsonl"), "w");
  let lines = [];
  for (const record of records()) {
    if (lines.push(`${JSON.stringify(record)}\n`) < 10_000) continue;
    await file.appendFile(lines.join(""));
    lines = [];
  }
  await file.appendFile(lines.join(""));
  await file.close();
}

if (process.argv[2]) {
  const { writeReport } = await import("../dist/experiments/reports.js");
  const started = performance.now();
  await writeReport(process.argv[2]);
  const seconds = (performance.now() - started) / 1000;
  console.log(JSON.stringify({ seconds, cpu: process.cpuUsage().user / 1e6, resident: peak() }));
} else {
  const directory = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-report-"));
  try {
    await writeRun(directory);
    const output = execFileSync(process.execPath, [fileURLToPath(import.meta.url), directory], {
      encoding: "utf8",
    });
    const { seconds, cpu, resident } = JSON.parse(output);
    const size = (name) => statSync(path.join(directory, name)).size / 1e6;
    const page = size("report.html");
    await writeResults("report", "The report of a million steps", [
      {
        what: "the page, with every figure in two sizes",
        bar: "≤ 3 MB",
        measured: `${figure(page)} MB`,
        met: page <= 3,
        detail: `from ${figure(size("metrics.jsonl"))} MB of records; metrics.csv ${figure(size("metrics.csv"))} MB`,
      },
      {
        what: "processor time",
        bar: "–",
        measured: duration(cpu),
        detail: `the compiler's and the collector's threads included; ${duration(seconds)} on the clock`,
      },
      { what: "most memory", bar: "–", measured: `${figure(resident / 2 ** 20)} MiB`, detail: "resident" },
    ]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
