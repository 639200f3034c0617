import { spawn } from "node:child_process";
import path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { NativeBatch, NativeModel, NativeOptimizer, NativeRule } from "../../lib/torch/index.js";
import { native } from "../../lib/torch/load.js";

/** The compiled loader: workers and child processes run plain Node.js. */
export const loader = pathToFileURL(path.resolve(import.meta.dirname, "../../dist/torch/load.js")).href;

/** A classifier of 4 features into 3 classes: 67 weights. */
export function smallModel(): NativeModel {
  return native().createModel(
    { kind: "mlp", layerSizes: [4, 8, 3], activation: "gelu", loss: "cross_entropy" },
    "float32",
  );
}

export function smallBatch(): NativeBatch {
  const inputs = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i));
  return native().createExampleBatch(inputs, [5, 4], new BigInt64Array([0n, 1n, 2n, 0n, 1n]), [5]);
}

export async function initialized(): Promise<NativeModel> {
  const model = smallModel();
  await model.initialize("pytorch", 1);
  return model;
}

/**
 * The memory that live handles hold, once those of earlier tests that nobody has any more are gone: when they go by themselves
 * depends on the time, and a count from before would.
 */
export async function settledMemory(): Promise<{ handles: number; bytes: number }> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let unchanged = 0, before = native().memory(); unchanged < 3; ) {
    collect();
    await turn(); // finalizers run between turns of the event loop
    const now = native().memory();
    unchanged = now.handles === before.handles ? unchanged + 1 : 0;
    before = now;
  }
  return native().memory();
}

/** Every parameter alike. */
export const groups = (count = 4) => ({
  learningRateRatio: Array(count).fill(1) as number[],
  weightDecay: Array(count).fill(0) as number[],
});

/** One rule for all parameters. */
export const optimizerOf = (
  model: NativeModel,
  name: string,
  options: NativeRule["options"],
  own = groups(),
): NativeOptimizer =>
  native().createOptimizer(
    model,
    own,
    [{ name, options }],
    own.learningRateRatio.map(() => 0),
  );

/**
 * JavaScript that defines `n` (the addon), `model`, `batch` and `long()`: a job of about a minute that looks at its cancel
 * flag every few milliseconds. For modules; `long` takes pass options.
 */
export const longJob = `
  const n = (await import(${JSON.stringify(loader)})).native();
  const model = n.createModel({ kind: "mlp", layerSizes: [16, 2048, 2048, 2048, 2048, 10], activation: "relu", loss: "cross_entropy" }, "float32");
  await model.initialize("zeros", 0);
  const batch = n.createExampleBatch(new Float32Array(1600000), [100000, 16], new BigInt64Array(100000), [100000]);
  const long = (options = {}) => model.loss(batch, null, { microBatch: 16, ...options });
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

/** Runs a module's text in a process of its own. `onOutput` sees standard output as it comes. */
export function runProcess(
  text: string,
  options: {
    flags?: string[];
    onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
  } = {},
): Promise<Ended> {
  const started = performance.now();
  const child = spawn(process.execPath, [...(options.flags ?? []), "--input-type=module", "-e", text], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
    options.onOutput?.(stdout, (signal) => child.kill(signal));
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) =>
      resolve({ code, signal, stdout, stderr, seconds: (performance.now() - started) / 1000 }),
    );
  });
}
