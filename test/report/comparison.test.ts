import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { runNames, writeComparison } from "../../lib/experiments/train/run-comparison.js";
import type { CurvatureRecord } from "../../lib/experiments/train/train-records.js";
import { configuration, find, measurement, step, temporaryFolder, writeRun } from "./helpers.js";

const folder = temporaryFolder();

/** A run of 10 steps at learning rate 0.1 whose λmax is `least` at first and 2 more at every step. */
function run(name: string, least: number, learningRate: number): string {
  const records = Array.from({ length: 10 }, (_, i) => {
    const curvature: CurvatureRecord = {
      type: "curvature",
      step: i + 1,
      learningRate: 0.1,
      hessian: { eigenvalue: least + 2 * i, residual: 0.1, iterations: 3, converged: true },
      preconditioned: null,
      directionalSharpness: 5,
      threshold: 20,
      seconds: 1,
    };
    return [step(i + 1, { learningRate: 0.1, measurement: measurement(10) }), curvature];
  }).flat();
  const change = { ...configuration, optimizer: { type: "sgd", learningRate } } as typeof configuration;
  return writeRun(path.join(folder, name), records, change);
}

describe("a comparison of runs", () => {
  it("says where each sits relative to its threshold", async () => {
    const out = path.join(folder, "both");
    const directories = [run("high", 12, 0.1), run("low", 0, 0.2)];
    const { runs, html, png, csv } = await writeComparison(directories, out);
    // 12, 14, … 30 of 20: at the threshold from step 5 on; 1.1, 1.2, … 1.5 in steps 6 to 10. The other: 0.5, … 0.9.
    expect(runs).toMatchObject([
      { name: "η = 0.1", reached: 5, from: 6, to: 10, largest: { median: 1.3, count: 5 } },
      { name: "η = 0.2", reached: null, from: 6, to: 10, largest: { median: 0.7, count: 5 } },
    ]);
    expect(runs[0]?.critical?.median).toBeCloseTo(0.5, 12);
    expect(runs[0]?.directional?.median).toBeCloseTo(0.25, 12);
    expect(existsSync(png)).toBe(true);
    expect(readFileSync(csv, "utf8").split("\n")).toHaveLength(1 + 2 * 30 + 1);
    const page = readFileSync(html, "utf8");
    expect(find(page, "figure .wide svg")).toHaveLength(5);
    expect(page).toContain("1.3 (quartiles 1.2 and 1.4 of 5 values)");
  });

  it("needs second derivatives, and says how to get them", async () => {
    const plain = writeRun(path.join(folder, "plain"), [step(1)]);
    await expect(writeComparison([plain], path.join(folder, "none"))).rejects.toThrow(/--hessian-every N$/);
  });
});

describe("names of runs", () => {
  const run = (learningRate: number, size: number, more = {}) => ({
    optimizer: { type: "sgd", learningRate },
    batch: { size },
    ...more,
  });

  it("say in what they differ", () => {
    expect(runNames([run(0.1, 10), run(0.2, 10)])).toEqual(["η = 0.1", "η = 0.2"]);
    expect(runNames([run(0.1, 4000), run(0.1, 10)])).toEqual(["batch of 4,000", "batch of 10"]);
    expect(runNames([run(0.1, 10, { seed: 1 }), run(0.2, 10, { seed: 2 })])).toEqual([
      "η = 0.1, seed 1",
      "η = 0.2, seed 2",
    ]);
  });

  it("name a setting that only one has", () => {
    expect(runNames([run(0.1, 10, { decay: 3 }), run(0.1, 10)])).toEqual(["decay 3", "no decay"]);
  });

  it("are numbers where runs are alike", () => {
    expect(runNames([run(0.1, 10), run(0.1, 10)])).toEqual(["run 1", "run 2"]);
  });
});
