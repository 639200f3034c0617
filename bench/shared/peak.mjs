import { readFileSync, writeFileSync } from "node:fs";

/** Peak of this process's resident memory while a call runs, in bytes. Linux. */
export async function peakOf(call) {
  writeFileSync("/proc/self/clear_refs", "5"); // the high-water mark starts again from what is resident now
  await call();
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
}

/** Every tensor a mapping of its own: what is resident is what is held, not what the allocator keeps for later. */
export const exactMemory = { MALLOC_MMAP_THRESHOLD_: "65536" };
