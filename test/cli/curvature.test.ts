import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { hessianEigenvalues } from "../../lib/curvature/index.js";
import { writeSafetensors } from "../../lib/files/safetensors-writer.js";
import { createModel, loadBatch } from "../../lib/index.js";
import { command, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const config = { model_type: "mlp", layer_sizes: [3, 8, 2], activation: "tanh", loss: "mse" } as const;

/** 12 rows of numbers between −1 and 1. */
const numbers = (columns: number) =>
  Float32Array.from({ length: 12 * columns }, (_, i) => Math.sin(7 * i + columns));
const source = (name: string, columns: number) => ({
  name,
  dtype: "float32" as const,
  shape: [12, columns],
  read: async (offset: number, length: number) => numbers(columns).buffer.slice(offset, offset + length),
});
const batch = place("batch.safetensors");
await writeSafetensors(batch, [source("inputs", 3), source("targets", 2)]);
{
  using model = await createModel(config, { seed: 3 });
  await model.save(place("model"));
}

describe("hessian", () => {
  it("gives the eigenvalues that the library gives, and nothing else as JSON", async () => {
    const flags = ["--batch", batch, "--count", "2", "--dtype", "float64", "--json"];
    const { code, stdout } = await command(["hessian", place("model"), ...flags]);
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(Object.keys(result)).toEqual(["eigenvalues", "residuals", "iterations", "converged"]);
    using model = await createModel(config, { seed: 3, dtype: "float64" });
    using judged = await loadBatch(batch);
    const expected = await hessianEigenvalues({ model, batch: judged, count: 2 });
    expect(result.eigenvalues).toEqual(expected.eigenvalues);
    expect(result.converged).toBe(true);
  });

  it("says when it did not converge", async () => {
    const { code, stdout, stderr } = await command([
      ...["hessian", place("model"), "--batch", batch],
      ...["--maximum-iterations", "1", "--tolerance", "1e-9"],
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/converged +no/);
    expect(stderr).toContain("--maximum-iterations");
  });
});

describe("hessian --trace --density", () => {
  it("adds both, with a figure", async () => {
    const out = place("hessian");
    const flags = ["--batch", batch, "--dtype", "float64", "--trace", "--density", "--out", out, "--json"];
    const { code, stdout } = await command(["hessian", place("model"), ...flags]);
    expect(code).toBe(0);
    const { eigenvalues, trace, density, files } = JSON.parse(stdout);
    // The mean of the nodes is the mean of the eigenvalues: the trace over the number of weights, 50.
    const mean = density.nodes.reduce(
      (sum: number, n: { eigenvalue: number; weight: number }) => sum + n.eigenvalue * n.weight,
      0,
    );
    expect(Math.abs(50 * mean - trace.trace)).toBeLessThan(0.5 * Math.abs(trace.trace));
    expect(density.nodes.at(-1).eigenvalue).toBeCloseTo(eigenvalues[0], 6);
    for (const file of files) expect(existsSync(file), file).toBe(true);
    expect(readFileSync(path.join(out, "density.svg"), "utf8")).toContain('class="eigenvalues"');
  });
});

describe("landscape", () => {
  it("goes along a chosen range, uphill too", async () => {
    const out = place("range");
    const flags = ["--batch", batch, "--from", "-0.5", "--to", "1", "--points", "4", "--out", out, "--json"];
    const { code, stdout } = await command(["landscape", place("model"), ...flags]);
    expect(code).toBe(0);
    const { points, baseLoss } = JSON.parse(stdout);
    expect(points.map(({ learningRate }: { learningRate: number }) => learningRate)).toEqual([
      -0.5, 0, 0.5, 1,
    ]);
    expect(points[0].loss).toBeGreaterThan(baseLoss);
    expect(points[1].loss).toBe(baseLoss);
    expect((await command(["landscape", place("model"), "--batch", batch, "--to", "1"])).code).toBe(2);
  });

  it("draws the loss along Δ and on the plane with the top eigenvector", async () => {
    const out = place("landscape");
    const flags = ["--batch", batch, "--second", "eigenvector", "--points", "9", "--out", out, "--json"];
    const { code, stdout } = await command(["landscape", place("model"), ...flags]);
    expect(code).toBe(0);
    const { baseLoss, criticalLearningRate, points, slice, files } = JSON.parse(stdout);
    expect(points).toHaveLength(9);
    expect(slice.losses).toHaveLength(9);
    for (const { learningRate, loss } of points)
      if (learningRate > criticalLearningRate * 1.07) expect(loss).toBeGreaterThan(baseLoss);
      else if (learningRate < criticalLearningRate * 0.93) expect(loss).toBeLessThanOrEqual(baseLoss);
    // The plane goes from −½ηc to 2ηc, and as far to either side.
    const [from, to] = [slice.first[0], slice.first.at(-1)];
    expect(to / from).toBeCloseTo(-4, 9);
    expect(slice.second[4]).toBeCloseTo(0, 12);
    expect(files).toHaveLength(5);
    for (const file of files) expect(existsSync(file)).toBe(true);
    expect(JSON.parse(readFileSync(path.join(out, "landscape.json"), "utf8")).points).toEqual(points);
  });

  it("takes one direction, not two", async () => {
    const flags = ["--batch", batch, "--update-batch", batch, "--direction", batch];
    const { code, stderr } = await command(["landscape", place("model"), ...flags]);
    expect(code).toBe(2);
    expect(stderr).toContain("not both");
  });
});
