import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseHTML } from "linkedom";
import { afterAll } from "vitest";
import {
  parseConfiguration,
  type TrainConfigurationInput,
} from "../../lib/experiments/train/train-configuration.js";
import type { LandscapeRecord, StepRecord } from "../../lib/experiments/train/train-records.js";
import type { MeasurementRecord } from "../../lib/sharpness/record.js";

/** A folder of this test file's own, removed after its tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const configuration: TrainConfigurationInput = {
  model: { model_type: "mlp", layer_sizes: [6, 16, 3], activation: "tanh", loss: "mse" },
  data: { type: "synthetic", task: "regression", count: 200, features: 6, outputs: 3 },
  batch: { size: 20 },
  optimizer: { type: "sgd", learningRate: 0.1 },
  schedule: { type: "warmup-stable-decay", warmup: 0.2, decay: 0.2 },
  steps: 500,
};

/** A measurement whose λc is given; Infinity, 0 and NaN have the statuses that they stand for. */
export function measurement(criticalSharpness: number, forwardPasses = 3): MeasurementRecord {
  const rate = 2 / criticalSharpness;
  const common = {
    reason: null,
    firstCrossing: "bracketed" as const,
    dtype: "float32" as const,
    baseLoss: 1,
    error: null,
    estimate: null,
    noise: null,
    evaluations: [{ learningRate: 0.1, loss: null }],
    forwardPasses,
    seconds: 0.25,
  } satisfies Partial<MeasurementRecord>;
  if (Number.isNaN(criticalSharpness))
    return {
      ...common,
      reason: "noise",
      criticalLearningRate: null,
      criticalSharpness: null,
      lower: 0,
      upper: 0.1,
      status: "unresolved",
      slope: 1e-9,
    };
  if (criticalSharpness === Infinity)
    return {
      ...common,
      criticalLearningRate: 0,
      criticalSharpness: null,
      lower: 0,
      upper: 0,
      status: "non-descent",
      slope: -0.5,
    };
  if (criticalSharpness === 0)
    return {
      ...common,
      criticalLearningRate: null,
      criticalSharpness: 0,
      lower: 1e9,
      upper: null,
      status: "unbounded",
      slope: 0.5,
    };
  return {
    ...common,
    criticalLearningRate: rate,
    criticalSharpness,
    lower: rate * 0.97,
    upper: rate * 1.03,
    status: "converged",
    slope: 0.5,
  };
}

/** The n-th step of a run without measurements. */
export function step(n: number, change: Partial<StepRecord> = {}): StepRecord {
  return {
    type: "step",
    step: n,
    tokens: 20 * n,
    loss: 1 / n,
    learningRate: 0.1,
    gradientNorm: 0.3,
    seconds: 0.5,
    measurement: null,
    ...change,
  };
}

/** A quadratic that passes L(θ) = 1 at ηc = 0.2. */
export const landscape: LandscapeRecord = {
  type: "landscape",
  step: 2,
  baseLoss: 1,
  criticalLearningRate: 0.2,
  learningRate: 0.1,
  points: Array.from({ length: 20 }, (_, i) => {
    const learningRate = 0.02 * (i + 1);
    return { learningRate, loss: 1 - learningRate + 5 * learningRate ** 2 };
  }),
};

/** Writes a run's directory: its configuration and the lines of its metrics.jsonl, as they are. */
export function writeRun(
  directory: string,
  lines: readonly (object | string)[],
  change: object = {},
): string {
  mkdirSync(directory, { recursive: true });
  const stored = {
    ...parseConfiguration({ ...configuration, ...change }),
    created: "2026-01-02T03:04:05.678Z",
    versions: { "critical-sharpness": "0.1.0", libtorch: "2.13.0" },
  };
  writeFileSync(path.join(directory, "config.json"), JSON.stringify(stored));
  const text = lines.map((line) => (typeof line === "string" ? line : `${JSON.stringify(line)}\n`)).join("");
  writeFileSync(path.join(directory, "metrics.jsonl"), text);
  return directory;
}

/** λc over batches: the mean and its error, and how many batches had none. */
const sharpness = (mean: number | null, nonDescent = 0, unresolved = 0) => ({
  mean,
  standardError: mean === null ? null : mean / 10,
  count: mean === null ? 0 : 4 - nonDescent - unresolved,
  median: mean,
  nonDescent,
  unbounded: 0,
  unresolved,
});
const estimate = (mean: number) => ({ mean, standardError: 0.1, count: 4 });

export interface Checkpoint {
  name: string;
  mean: number | null;
  /** Of the mean; default: a tenth of it. */
  error?: number;
  /** Default: 10, 20, … */
  step?: number | null;
  nonDescent?: number;
  unresolved?: number;
  /** NaN: unresolved. */
  parts?: Record<string, number | null>;
}

/** A series' directory, as `measureCheckpoints` leaves it. */
export function writeSeries(
  directory: string,
  checkpoints: Checkpoint[],
  change: object = {},
  more: object[] = [],
): string {
  mkdirSync(directory, { recursive: true });
  const listed = checkpoints.map(({ name, step = undefined }, i) => {
    const known = step === undefined ? 10 * (i + 1) : step;
    return { name, directory: `/models/${name}`, step: known, tokens: null };
  });
  const failed = { name: "broken", directory: "/models/broken", step: 99, tokens: null };
  const config = { data: "text.jsonl", batch: { size: 2 }, accumulate: 3, measure: 4, ...change };
  const stored = {
    ...config,
    checkpoints: [...listed, failed],
    created: "2026-01-02T03:04:05.678Z",
    versions: {},
  };
  writeFileSync(path.join(directory, "config.json"), JSON.stringify(stored));
  const records = checkpoints.map(({ name, mean, error, nonDescent, unresolved = 0, parts = {} }) => ({
    type: "checkpoint",
    checkpoint: `/models/${name}`,
    parameterCount: 1234,
    direction: "accumulated",
    accumulated: 3,
    criticalSharpness: {
      ...sharpness(mean, nonDescent ?? (mean === null && unresolved === 0 ? 4 : 0), unresolved),
      ...(error === undefined ? {} : { standardError: error }),
    },
    loss: estimate(2),
    parts: Object.fromEntries(
      Object.entries(parts).map(([part, value]) => [
        part,
        Number.isNaN(value) ? sharpness(null, 0, 4) : sharpness(value),
      ]),
    ),
    directionalSharpness: null,
    preconditioned: null,
    forwardPasses: 12,
    seconds: 1,
  }));
  const lines = [...records, ...more].map((record) => `${JSON.stringify(record)}\n`);
  writeFileSync(path.join(directory, "metrics.jsonl"), lines.join(""));
  return directory;
}

/** What tests look at in an element. */
export interface FoundElement {
  readonly textContent: string;
  readonly children: readonly FoundElement[];
  getAttribute(name: string): string | null;
}

/** The elements of an SVG document that a selector finds. */
export function find(svg: string, selector: string): FoundElement[] {
  const { document } = parseHTML(`<!doctype html><html><body>${svg}</body></html>`);
  return [...document.querySelectorAll(selector)];
}
