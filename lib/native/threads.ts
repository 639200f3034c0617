import { native } from "./load.js";

/**
 * Sets how many threads libtorch computes with, in this process; all workers share them. Default: OMP_NUM_THREADS, or
 * the machine's cores, as far as the process's CPU affinity and its control groups' quota allow them. A different number may change the last bits of a loss.
 *
 * @throws TypeError, RangeError unless it is an integer from 1 to 1024.
 */
export async function setThreads(threads: number): Promise<void> {
  await native().setThreads(threads);
}
