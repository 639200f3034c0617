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
import { frozenSharpness, loadBatch, loadModel, parseConfiguration, train } from "../../lib/index.js";
import { oraclePython } from "../oracle.js";

interface Found {
  loss: number;
  slope: number;
  criticalLearningRate: number;
}
type Checkpoints = Record<
  string,
  { learningRate: number; decayed: string[]; stored: Found[]; frozen: Found[] }
>;

/** A fiftieth of what a measurement is usually told to. */
const tolerance = 1 / 16 / 50;

describe.skipIf(!oraclePython)("a run of transformers' Trainer", { timeout: 600_000 }, () => {
  let folder: string;
  let expected: Checkpoints;
  let adapters: Checkpoints;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "trainer-"));
    const script = path.join(import.meta.dirname, "make_trainer_run.py");
    execFileSync(oraclePython as string, [script, folder], { stdio: "ignore" });
    ({ run: expected, adapters } = JSON.parse(readFileSync(path.join(folder, "expected.json"), "utf8")));
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
      if (slope <= 0) expect(measurement.status).toBe("non-descent");
      else
        expect(
          Math.abs((measurement.criticalLearningRate as number) / criticalLearningRate - 1),
        ).toBeLessThan(tolerance);
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
        data: { type: "jsonl" as const, files: [path.join(folder, "text.jsonl")], tokenizer: "bytes" },
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
    expect(page.includes("Against the run's learning rate η: 0 of 2 checkpoints above 2/")).toBe(true);
    const figure = readFileSync(path.join(directory, "figures/critical-sharpness.svg"), "utf8");
    expect(figure.includes("2/η of the run")).toBe(true);
  });

  test("accumulated moments are taken when they are asked for", async () => {
    const { checkpoints } = await measureCheckpoints(
      {
        ...{
          data: { type: "jsonl" as const, files: [path.join(folder, "text.jsonl")], tokenizer: "bytes" },
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

  test("λc of a LoRA training, along its own moments and from zero, is float64 PyTorch's", async () => {
    const base = path.join(folder, "run/checkpoint-30");
    for (const [step, { stored, frozen }] of Object.entries(adapters)) {
      const adapter = path.join(folder, `adapters/checkpoint-${step}`);
      using model = await loadModel(base, { adapter });
      expect(model.trainableCount).toBeLessThan(model.parameterCount / 4);
      const own = await frozenSharpness({
        ...{ model, optimizerState: adapter, measure: stored.length, tolerance },
        batches: await batches(6, 10),
      });
      expectAlike(own, stored);
      const accumulated = await frozenSharpness({
        ...{ model, accumulate: 6, measure: frozen.length, tolerance, batches: await batches(0, 10) },
        optimizer: { type: "adamw", learningRate: 1, betas: [0.9, 0.95], weightDecay: 0.1 },
      });
      expectAlike(accumulated, frozen);
    }
  });

  test("a series of adapters is measured over their base", async () => {
    const { checkpoints, failures } = await measureCheckpoints(
      {
        data: { type: "jsonl" as const, files: [path.join(folder, "text.jsonl")], tokenizer: "bytes" },
        ...{ batch: { size: 8, sequence: 23 }, measure: 2, base: path.join(folder, "run/checkpoint-30") },
      },
      {
        directory: path.join(folder, "adapted"),
        checkpoints: await findCheckpoints([path.join(folder, "adapters")]),
      },
    );
    expect(failures).toEqual([]);
    expect(checkpoints.map(({ direction, optimizerState }) => [direction, optimizerState])).toEqual(
      Array(2).fill(["stored", "optimizer.pt"]),
    );
  });

  test("an adapter is saved as PEFT has it, with the same bits", async () => {
    const base = path.join(folder, "run/checkpoint-30");
    const adapter = path.join(folder, "adapters/checkpoint-20");
    const saved = path.join(folder, "saved");
    using model = await loadModel(base, { adapter });
    await model.save(saved);
    using again = await loadModel(base, { adapter: saved });
    expect(await again.digest()).toBe(await model.digest());
    const script = `
import sys, torch
from safetensors.torch import load_file
a, b = (load_file(f"{d}/adapter_model.safetensors") for d in sys.argv[1:3])
assert a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)
from peft import PeftModel
from transformers import AutoModelForCausalLM
PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[3]), sys.argv[2])
`;
    execFileSync(oraclePython as string, ["-c", script, adapter, saved, base], { stdio: "ignore" });
  });

  test("train trains a new adapter and leaves the base as it was", async () => {
    const base = path.join(folder, "run/checkpoint-30");
    const directory = path.join(folder, "trained");
    const configuration = {
      model: { directory: base, adapter: { rank: 2, targets: ["q_proj", "up_proj"], seed: 5 } },
      data: { type: "jsonl", files: [path.join(folder, "text.jsonl")], tokenizer: "bytes" },
      batch: { size: 8, sequence: 23 },
      ...{
        optimizer: { type: "adamw", learningRate: 0.02 },
        steps: 6,
        measure: { every: 2 },
        landscape: null,
      },
    };
    using before = await loadModel(base);
    const digest = await before.digest();
    const half = train(parseConfiguration({ ...configuration }), {
      directory,
      onProgress: (event) => {
        if (event.type === "step" && event.step === 3) throw new Error("stopped");
      },
    });
    await expect(half).rejects.toThrow("stopped");
    await train(parseConfiguration({ ...configuration }), { directory });
    using trained = await loadModel(base, { adapter: path.join(directory, "checkpoint") });
    const batch = (await batches(0, 1))[0] as Awaited<ReturnType<typeof loadBatch>>;
    expect(await trained.loss(batch)).toBeLessThan(await before.loss(batch));
    using after = await loadModel(base);
    expect(await after.digest()).toBe(digest);
  });
});
