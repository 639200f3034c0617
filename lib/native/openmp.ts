import os from "node:os";
import { cpuQuota } from "./cpu-quota.js";

/**
 * How often a thread of libgomp, the OpenMP runtime of libtorch on Linux, looks for more work before it sleeps. Its own 300,000
 * are milliseconds of a CPU, which beside another busy process are taken from the thread that is waited for. bench/busy-machine.mjs
 * compares them.
 */
const spinCount = "1000";

const waiting = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"] as const;

/**
 * Loads libgomp so that its threads spin briefly, unless the user chose. It reads the environment once, while it is loaded, so
 * the variable is gone again before a child process could inherit it. In a worker thread, whose `process.env` is a copy, this
 * has no effect: there libgomp's own default holds if no thread has loaded it before.
 */
export function withBriefSpinning(load: () => void): void {
  const chosen = waiting.some((name) => process.env[name] !== undefined);
  if (chosen || process.platform !== "linux") {
    load();
    return;
  }
  process.env.GOMP_SPINCOUNT = spinCount;
  try {
    load();
  } finally {
    delete process.env.GOMP_SPINCOUNT;
  }
}

/**
 * How many threads are worth having: the CPUs that this process may run on and, rounded up, the time on them that its control
 * groups allow. Undefined where the user chose.
 */
export function threadLimit(): number | undefined {
  if (process.env.OMP_NUM_THREADS !== undefined || process.env.MKL_NUM_THREADS !== undefined)
    return undefined;
  return Math.min(os.availableParallelism(), Math.ceil(cpuQuota()), 1024);
}
