import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const status = (field) =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;

/** Most resident memory of this process so far, in bytes. Linux. */
export const peak = () => status("VmHWM");

/** Resident memory of this process, in bytes, once what passes have left is given back to the system: after a second. Linux. */
export async function resident() {
  await setTimeout(1200);
  return status("VmRSS");
}

/** Peak of this process's resident memory while a call runs, in bytes. Linux. */
export async function peakOf(call) {
  await resident();
  writeFileSync("/proc/self/clear_refs", "5"); // the high-water mark starts again from what is resident now
  await call();
  return peak();
}

/** Every tensor a mapping of its own: what is resident is what is held, not what the allocator keeps for later. */
export const exactMemory = { MALLOC_MMAP_THRESHOLD_: "65536" };
