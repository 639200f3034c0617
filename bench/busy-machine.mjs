// Training beside other busy processes: how long steps of the quickstart take with none, one and eight of them, by how libgomp's
// threads wait for each other. `node bench/busy-machine.mjs [rounds] [steps]`, 40 steps if not said; on 2 CPUs a round takes some six minutes.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { figure, spread, writeTables } from "./shared/results.mjs";
import { inTurns, median, ratio } from "./shared/timing.mjs";

const file = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const rounds = Number(process.argv[2] ?? 3);
const steps = Number(process.argv[3] ?? 40);

const spins = (count) => ({ GOMP_SPINCOUNT: `${count}` });
const settings = {
  ours: {},
  "libgomp's own": spins(300_000), // what it takes where no variable is set
  passive: { OMP_WAIT_POLICY: "passive" },
  "1,000 spins": spins(1000),
  "10,000 spins": spins(10_000),
};
/** Busy processes beside it, and how much longer than with the best setting ours may take. */
const loads = [
  { busy: 0, bar: 1.03 },
  { busy: 1, bar: 1.15 },
  { busy: 8, bar: 1.15 },
];

function train(variables) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-busy-"));
  const { GOMP_SPINCOUNT, OMP_WAIT_POLICY, OMP_NUM_THREADS, MKL_NUM_THREADS, ...environment } = process.env;
  const flags = ["--steps", `${steps}`, "--out", folder, "--fresh", "--json"];
  const { status, stderr } = spawnSync(
    process.execPath,
    [file("dist/cli/main.js"), "train", file("examples/quickstart.json"), ...flags],
    { encoding: "utf8", env: { ...environment, ...variables } },
  );
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0) throw new Error(stderr);
}

const tables = [];
const figures = [];
for (const { busy, bar } of loads) {
  const loops = Array.from({ length: busy }, () => spawn(process.execPath, ["-e", "for (;;);"]));
  try {
    const calls = Object.entries(settings).map(([name, variables]) => [name, () => train(variables)]);
    const times = await inTurns(Object.fromEntries(calls), { rounds, warmup: busy === 0 ? 1 : 0 });
    const seconds = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
    const others = Object.keys(settings).filter((name) => name !== "ours");
    const best = others.reduce((a, b) => (seconds[b] < seconds[a] ? b : a));
    const against = ratio(times, "ours", best);
    figures.push({ busy, bar, best, ratio: against, met: against.median <= bar, times });
    tables.push({
      title: busy === 0 ? "Alone" : `Beside ${busy} busy process${busy > 1 ? "es" : ""}`,
      columns: ["threads wait", "seconds, median", "÷ the best other setting"],
      rows: Object.keys(settings).map((name) => [
        name,
        figure(seconds[name]),
        `${spread(ratio(times, name, best))}${name === "ours" ? `, bar ≤ ${bar}: ${against.median <= bar ? "met" : "**not met**"}` : ""}`,
      ]),
    });
  } finally {
    for (const loop of loops) loop.kill();
  }
}
const notes = [
  `${rounds} rounds, the settings in turns; the ratio is the median of the rounds' ratios, with quartiles. A process for each run, from its start to its end: ${steps} steps of examples/quickstart.json.`,
];
await writeTables("busy-machine", "Beside other busy processes", tables, notes, { figures });
