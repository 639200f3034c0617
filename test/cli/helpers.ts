import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

/** The compiled command: `npm run build:ts` makes it. */
const main = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../dist/cli/main.js");

/** A folder of this test file's own, removed after its tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs the command in a process of its own.
 *
 * @param onOutput called with what was written to standard error so far; it may signal the process
 * @param killAfter milliseconds after which it is killed
 */
export function command(
  args: readonly string[],
  onOutput: (stderr: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
  killAfter?: number,
): Promise<Ended> {
  if (!existsSync(main)) throw new Error(`Expected ${main}: run \`npm run build:ts\` first`);
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, DEBUG: "", OMP_NUM_THREADS: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
    onOutput(stderr, (signal) => child.kill(signal));
  });
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** A configuration file for a small perceptron. */
export function writeConfiguration(folder: string, change: object = {}): string {
  const file = path.join(folder, `run-${Math.random().toString(36).slice(2)}.json`);
  const configuration = {
    model: { model_type: "mlp", layer_sizes: [6, 16, 3], activation: "tanh", loss: "mse" },
    data: { type: "synthetic", task: "regression", count: 200, features: 6, outputs: 3 },
    batch: { size: 20 },
    optimizer: { type: "sgd", learningRate: 0.1, momentum: 0.9 },
    steps: 20,
    checkpoint: { every: 5 },
    ...change,
  };
  writeFileSync(file, JSON.stringify(configuration));
  return file;
}
