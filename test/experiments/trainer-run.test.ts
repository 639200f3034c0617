import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  edgeSentence,
  findCheckpoints,
  measureCheckpoints,
  writeReport,
} from "../../lib/experiments/index.js";
import { frozenSharpness, loadBatch, loadModel } from "../../lib/index.js";
import { oraclePython } from "../oracle.js";

interface Found {
  loss: number;
  slope: number;
  criticalLearningRate: number;
}
type Expected = Record<string, { learningRate: number; decayed: string[]; stored: Found[]; frozen: Found[] }>;

/** A fiftieth of what a measurement is usually told to. */
const tolerance = 1 / 16 / 50;

describe.skipIf(!oraclePython)("a run of transformers' Trainer", { timeout: 600_000 }, () => {
  let folder: string;
  let expected: Expected;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "trainer-"));
    const script = path.join(import.meta.dirname, "make_trainer_run.py");
    execFileSync(oraclePython as string, [script, folder], { stdio: "ignore" });
    expected = JSON.parse(readFileSync(path.join(folder, "expected.json"), "utf8"));
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const batches = (from: number, to: number) =>
    Promise.all(
      Array.from({ length: to - from }, (_, i) =>
        loadBatch(path.join(folder, `batch-${from + i}.safetensors`)),
      ),
    );

  function expectAlike(found: Awaited<ReturnType<typeof frozenSharpness>>, known: readonly Found[]): void {
    expect(found.batches.length).toBe(known.length);
    for (const [i, { loss, slope, criticalLearningRate }] of known.entries()) {
      const { loss: own, measurement } = found.batches[i] as (typeof found.batches)[number];
      expect(Math.abs(own / loss - 1)).toBeLessThan(1e-6);
      expect(Math.abs((measurement.slope as number) / slope - 1)).toBeLessThan(1e-4);
      expect(Math.abs((measurement.criticalLearningRate as number) / criticalLearningRate - 1)).toBeLessThan(
        tolerance,
      );
    }
  }

  test("λc of the moments that it had is float64 PyTorch's", async () => {
    for (const [step, { stored, learningRate }] of Object.entries(expected)) {
      const place = path.join(folder, `run/checkpoint-${step}`);
      using model = await loadModel(place);
      const found = await frozenSharpness({
        ...{ model, optimizerState: place, measure: stored.length, tolerance },
        batches: await batches(6, 10),
      });
      expectAlike(found, stored);
      expect(learningRate).toBeGreaterThanOrEqual(0);
    }
  });

  test("and that of moments from zero too, which is another one", async () => {
    const ratios: number[] = [];
    for (const [step, { frozen, stored, decayed }] of Object.entries(expected)) {
      using model = await loadModel(path.join(folder, `run/checkpoint-${step}`));
      const found = await frozenSharpness({
        ...{ model, accumulate: 6, measure: frozen.length, tolerance, batches: await batches(0, 10) },
        optimizer: {
          ...{ type: "adamw", learningRate: 1, betas: [0.9, 0.95], weightDecay: 0 },
          groups: [{ parameters: decayed, weightDecay: 0.1 }],
        },
      });
      expectAlike(found, frozen);
      ratios.push(
        ...frozen.map(
          ({ criticalLearningRate: rate }, i) => (stored[i] as Found).criticalLearningRate / rate,
        ),
      );
    }
    // λc of the protocol over that of the run's own moments.
    expect(Math.min(...ratios)).toBeGreaterThan(1.5);
  });

  test("its folder is all that a series needs to be told whether it was near its edge", async () => {
    const directory = path.join(folder, "edge");
    const found = await measureCheckpoints(
      {
        data: { type: "jsonl" as const, files: path.join(folder, "text.jsonl"), tokenizer: "bytes" },
        batch: { size: 8, sequence: 23 },
        measure: 4,
      },
      { directory, checkpoints: await findCheckpoints([path.join(folder, "run")]) },
    );
    expect(found.failures).toEqual([]);
    expect(
      found.checkpoints.map(({ name, direction, learningRate }) => [name, direction, learningRate]),
    ).toEqual(
      Object.entries(expected).map(([step, { learningRate }]) => [
        `checkpoint-${step}`,
        "stored",
        learningRate,
      ]),
    );
    const [first] = found.checkpoints;
    expect(first?.optimizer).toContain("β = (0.9, 0.95)");
    expect([first?.optimizerState, first?.learningRateSource]).toEqual(["optimizer.pt", "optimizer.pt"]);
    expect(first?.tokensSeen).toBe(10 * 8 * 24);
    expect(edgeSentence(found.checkpoints)).toMatch(
      /^0 of 2 checkpoints above 2\/η, 2 below; at 1 the learning rate was 0$/,
    );
    await writeReport(directory);
    const page = readFileSync(path.join(directory, "report.html"), "utf8");
    expect(page).toContain("Against the run's learning rate η: 0 of 2 checkpoints above 2/η");
    expect(readFileSync(path.join(directory, "figures/critical-sharpness.svg"), "utf8")).toContain(
      "2/η of the run",
    );
  });

  test("accumulated moments are taken when they are asked for", async () => {
    const { checkpoints } = await measureCheckpoints(
      {
        ...{
          data: { type: "jsonl" as const, files: path.join(folder, "text.jsonl"), tokenizer: "bytes" },
          batch: { size: 8, sequence: 23 },
          accumulate: 2,
          measure: 2,
        },
        optimizerState: "none",
      },
      {
        directory: path.join(folder, "none"),
        checkpoints: await findCheckpoints([path.join(folder, "run")]),
      },
    );
    expect(checkpoints.map(({ direction, learningRateSource }) => [direction, learningRateSource])).toEqual(
      Array(3).fill(["accumulated", "scheduler.pt"]),
    );
  });
});
