import { readFile } from "node:fs/promises";
import path from "node:path";
import { native } from "./load.js";
import { packageRoot } from "./locate-libtorch.js";

/** The version in package.json. */
export async function packageVersion(): Promise<string> {
  return JSON.parse(await readFile(path.join(packageRoot, "package.json"), "utf8")).version;
}

/** What a result was computed with. */
export async function versions(): Promise<Record<string, string>> {
  const { libtorchVersion, cpuCapability } = await native().info();
  return {
    "critical-sharpness": await packageVersion(),
    libtorch: libtorchVersion,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpuCapability,
  };
}

/**
 * Sets how many threads libtorch computes with, in this process; all workers share them. Default: OMP_NUM_THREADS, or
 * the machine's cores, as far as the process's CPU affinity and its control groups' quota allow them. A different number may change the last bits of a loss.
 *
 * @throws TypeError, RangeError unless it is an integer from 1 to 1024.
 */
export async function setThreads(threads: number): Promise<void> {
  await native().setThreads(threads);
}
