import { readFileSync, writeFileSync } from "node:fs";

const status = (field) =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;

/** Most resident memory of this process so far, in bytes. Linux. */
export const peak = () => status("VmHWM");

/** Resident memory of this process now, in bytes. Linux. */
export const resident = () => status("VmRSS");

/** Peak of this process's resident memory while a call runs, in bytes. Linux. */
export async function peakOf(call) {
  writeFileSync("/proc/self/clear_refs", "5"); // the high-water mark starts again from what is resident now
  await call();
  return peak();
}

/** Every tensor a mapping of its own: what is resident is what is held, not what the allocator keeps for later. */
export const exactMemory = { MALLOC_MMAP_THRESHOLD_: "65536" };
