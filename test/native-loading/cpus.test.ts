import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { cpuQuota } from "../../lib/torch/openmp.js";
import { folder } from "./support.js";

/** A root folder with these files. */
function system(files: Record<string, string>): string {
  const root = folder();
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  return root;
}

const v2 = "31 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const v1 = (folder: string) =>
  `33 31 0:29 ${folder} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n`;
const other = "34 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

describe("the quota of control groups", () => {
  it("is none where nothing says so", () => {
    expect(cpuQuota(folder())).toBe(Infinity);
    const unlimited = { "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2 };
    expect(cpuQuota(system(unlimited))).toBe(Infinity);
    expect(cpuQuota(system({ ...unlimited, "sys/fs/cgroup/cpu.max": "max 100000\n" }))).toBe(Infinity);
    const rubbish = { "proc/self/cgroup": "?\n\n:", "proc/self/mountinfo": "a b - c\n - cgroup2\n" };
    expect(cpuQuota(system(rubbish))).toBe(Infinity);
  });

  it("of version 2 is the least of the group's and those above it", () => {
    const groups = {
      "proc/self/cgroup": "0::/user.slice/job/part\n",
      "proc/self/mountinfo": `22 1 8:1 / / rw - ext4 /dev/vda rw\n${v2}`,
      "sys/fs/cgroup/user.slice/cpu.max": "250000 100000\n",
      "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000\n",
      "sys/fs/cgroup/user.slice/job/part/cpu.max": "800000 200000\n",
      "sys/fs/cgroup/user.slice/job/other/cpu.max": "1000 100000\n",
    };
    expect(cpuQuota(system(groups))).toBe(2.5);
    expect(
      cpuQuota(system({ ...groups, "sys/fs/cgroup/user.slice/job/part/cpu.max": "50000 100000\n" })),
    ).toBe(0.5);
  });

  it("of version 1, in a container that sees its group as the root, and beside version 2", () => {
    const group = {
      "proc/self/cgroup": "4:cpuset:/\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
      "proc/self/mountinfo": `${other}${v1("/docker/abc")}`,
      "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
      "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    };
    expect(cpuQuota(system(group))).toBe(1.5);
    expect(cpuQuota(system({ ...group, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n" }))).toBe(
      Infinity,
    );
    const below = {
      "proc/self/cgroup": "3:cpu,cpuacct:/a/b\n",
      "proc/self/mountinfo": v1("/"),
      "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "300000\n",
      "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
    };
    expect(cpuQuota(system(below))).toBe(3);
  });
});

const loader = JSON.stringify(
  pathToFileURL(path.resolve(import.meta.dirname, "../../dist/torch/load.js")).href,
);

/** What a process of its own that loads libtorch prints, and what libgomp says of its settings. */
function load(
  variables: Record<string, string>,
  [program, ...flags]: [string, ...string[]] = [process.execPath],
) {
  const { OMP_NUM_THREADS, MKL_NUM_THREADS, GOMP_SPINCOUNT, OMP_WAIT_POLICY, ...rest } = process.env;
  const text = `
    const { native } = await import(${loader});
    const before = JSON.stringify(process.env);
    const { threads } = await native().info();
    console.log(JSON.stringify({ threads, kept: JSON.stringify(process.env) === before }));`;
  const { stdout, stderr, status } = spawnSync(program, [...flags, "--input-type=module", "-e", text], {
    encoding: "utf8",
    env: { ...rest, OMP_DISPLAY_ENV: "verbose", ...variables },
  });
  expect(status, stderr).toBe(0);
  const said = (name: string) => new RegExp(`${name} = '(.*)'`).exec(stderr)?.[1];
  return { ...JSON.parse(stdout), spins: said("GOMP_SPINCOUNT"), policy: said("OMP_WAIT_POLICY") };
}

describe.runIf(process.platform === "linux")("loading libtorch", () => {
  it("makes libgomp's threads spin briefly, less on a busy machine, and leaves no variable for child processes", () => {
    const loops = os.cpus().map(() => spawn(process.execPath, ["-e", "for (;;);"]));
    try {
      expect(load({})).toMatchObject({ spins: "1000", kept: true });
    } finally {
      for (const loop of loops) loop.kill();
    }
    expect(["1000", "10000"]).toContain(load({}).spins); // this machine may have other work
  });

  it("leaves a user's choice alone", () => {
    expect(load({ GOMP_SPINCOUNT: "77" })).toMatchObject({ spins: "77", kept: true });
    expect(load({ OMP_WAIT_POLICY: "active" })).toMatchObject({ spins: "30000000000", policy: "ACTIVE" });
  });

  it("takes as many threads as the user says, or as the process has CPUs", () => {
    expect(load({ OMP_NUM_THREADS: "1" }).threads).toBe(1);
    const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(
      readFileSync("/proc/self/status", "utf8"),
    )?.[1] as string;
    const pinned: [string, ...string[]] = ["taskset", "-c", allowed, process.execPath];
    if (spawnSync("taskset", ["--version"]).status === 0) expect(load({}, pinned).threads).toBe(1);
  });
});
