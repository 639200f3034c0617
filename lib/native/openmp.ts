import { readFileSync } from "node:fs";
import os from "node:os";
import { cpuQuota } from "./cpu-quota.js";

/**
 * How often a thread of libgomp, the OpenMP runtime of libtorch on Linux, looks for more work before it sleeps. Its own 300,000
 * are milliseconds of a CPU, which beside another busy process are taken from the thread that is waited for. The fewer, the better
 * then; but alone, waking a thread costs more than a fraction of a millisecond of waiting. bench/busy-machine.mjs compares them.
 */
const spins = { alone: "10000", busy: "1000" };

const waiting = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"] as const;

/**
 * Loads libgomp so that its threads spin briefly, the more so where the machine is busy now, unless the user chose. It reads the
 * environment once, while it is loaded, so the variable is gone again before a child process could inherit it. In a worker
 * thread, whose `process.env` is a copy, this has no effect: there libgomp's own default holds if no thread has loaded it before.
 */
export function withBriefSpinning(load: () => void): void {
  const chosen = waiting.some((name) => process.env[name] !== undefined);
  if (chosen || process.platform !== "linux") {
    load();
    return;
  }
  process.env.GOMP_SPINCOUNT = isBusy() ? spins.busy : spins.alone;
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

/** Whether other threads of the machine leave fewer CPUs free than libtorch will have threads. */
function isBusy(): boolean {
  const threads = threadLimit() ?? os.availableParallelism();
  let others = Infinity;
  // Whoever runs for a moment only is no neighbour.
  for (let sample = 0; sample < 5 && others > 0; sample++) {
    if (sample > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    others = Math.min(others, runnableThreads() - 1);
  }
  return others + threads > os.cpus().length;
}

/** Threads of the machine that run or could, this one among them; 1 where the system does not say. */
function runnableThreads(): number {
  try {
    return Number(/ (\d+)\/\d+ /.exec(readFileSync("/proc/loadavg", "utf8"))?.[1] ?? 1);
  } catch {
    return 1;
  }
}
