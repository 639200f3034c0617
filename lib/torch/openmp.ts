import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

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

/**
 * How many CPUs' worth of time the control groups of Linux allow this process, as `docker run --cpus 1.5` says it: the least of
 * its group's and those above it, of version 1 or 2. Infinity without a quota and on other systems.
 *
 * @param root where /proc and the mounts are
 */
export function cpuQuota(root = "/"): number {
  const groups = lines(root, "/proc/self/cgroup").map((line) => /^\d+:([^:]*):(.*)$/.exec(line) ?? []);
  let least = Infinity;
  for (const { folder, mount, version } of mounts(root)) {
    const mine = groups.find(([, controllers]) =>
      version === 2 ? controllers === "" : controllers?.split(",").includes("cpu"),
    );
    if (mine === undefined) continue;
    const quota = version === 2 ? quotaOfVersion2 : quotaOfVersion1;
    // A group namespace or a container shows the hierarchy from some group down; what is above cannot be seen.
    const below = path.posix.relative(folder, mine[2] as string);
    const group = below.startsWith("..") ? mount : path.posix.join(mount, below);
    for (let at = group; ; at = path.posix.dirname(at)) {
      least = Math.min(least, quota(root, at));
      if (at.length <= mount.length) break;
    }
  }
  return least;
}

interface Mount {
  /** The group that `mount` shows, within its hierarchy. */
  folder: string;
  mount: string;
  version: 1 | 2;
}

/** Where hierarchies that have the cpu controller, or may have it, are mounted. */
function mounts(root: string): Mount[] {
  return lines(root, "/proc/self/mountinfo").flatMap((line): Mount[] => {
    const [before = "", after] = line.split(" - ");
    const [folder = "/", mount = "/"] = before.split(" ").slice(3, 5).map(unescaped);
    const [type, , options] = after?.split(" ") ?? [];
    if (type === "cgroup2") return [{ folder, mount, version: 2 }];
    return type === "cgroup" && options?.split(",").includes("cpu") ? [{ folder, mount, version: 1 }] : [];
  });
}

function quotaOfVersion2(root: string, group: string): number {
  const [quota, period] = (lines(root, path.posix.join(group, "cpu.max"))[0] ?? "max").split(" ");
  return share(quota, period);
}

function quotaOfVersion1(root: string, group: string): number {
  const [quota, period] = ["quota", "period"].map(
    (which) => lines(root, path.posix.join(group, `cpu.cfs_${which}_us`))[0],
  );
  return share(quota, period);
}

/** "max" and -1 say that there is no limit. */
function share(quota: string | undefined, period: string | undefined): number {
  const cpus = Number(quota) / Number(period);
  return cpus > 0 ? cpus : Infinity;
}

/** Spaces and the like are octal in mountinfo. */
const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));

/** None if the file is not there or cannot be read. */
function lines(root: string, file: string): string[] {
  try {
    return readFileSync(path.join(root, file), "utf8").trim().split("\n");
  } catch {
    return [];
  }
}
