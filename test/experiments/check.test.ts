import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openData } from "../../lib/data/index.js";
import type { CheckSubject } from "../../lib/experiments/check/batches.js";
import { parseCheck } from "../../lib/experiments/check/check-configuration.js";
import type { CheckBatchRecord, CheckRecord } from "../../lib/experiments/check/check-records.js";
import { Moments } from "../../lib/experiments/check/moments.js";
import { tryWarmup } from "../../lib/experiments/check/trial.js";
import { type CheckEvent, checkLearningRate, writeReport } from "../../lib/experiments/index.js";
import { loadWeights } from "../../lib/experiments/model-source.js";
import { TrainingData } from "../../lib/experiments/training-data.js";
import { createModel, criticalSharpness, directionalSharpness, type Model, train } from "../../lib/index.js";
import { makeOptimizer } from "../../lib/optimizers/index.js";
import { mlpRun, readMetrics, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const recordsOf = (name: string) => readMetrics(place(name)) as unknown as CheckRecord[];
const withoutSeconds = (records: unknown) =>
  JSON.parse(JSON.stringify(records, (key, value) => (key === "seconds" ? undefined : value)));

/** One layer with a squared error: the loss is a quadratic in the weights. */
const quadratic = {
  model: { model_type: "mlp", layer_sizes: [6, 3], activation: "tanh", loss: "mse", seed: 2 },
  data: mlpRun.data,
  batch: { size: 20 },
  optimizer: { type: "sgd" },
} as const;
const adamw = {
  ...quadratic,
  model: { ...mlpRun.model, seed: 2 },
  optimizer: { type: "adamw" },
  accumulate: 5,
} as const;

async function dataOf(model: Model, configuration: { batch: object }, size: number) {
  const opened = await openData(parseCheck(quadratic).data, 0);
  const batch = { ...configuration.batch, size };
  return TrainingData.over(opened, { batch, seed: 0 }, model.config);
}

describe("a learning rate that is checked", () => {
  it("is compared with ηc = 2/λdir of each batch, alone and together, on a quadratic", async () => {
    const result = await checkLearningRate(
      { ...quadratic, learningRate: 0.01 },
      { directory: place("quadratic") },
    );
    const { batch: _, seed, ...config } = { ...quadratic.model, batch: 0 };
    using model = await createModel(config, { seed });
    await using data = await dataOf(model, quadratic, 80);
    const whole = await data.training(1);
    const batches = recordsOf("quadratic").filter(
      (record): record is CheckBatchRecord => record.type === "batch",
    );
    expect(batches.map(({ together, index }) => [together, index])).toEqual([
      ...[
        [1, 0],
        [1, 1],
        [2, 0],
        [1, 2],
        [1, 3],
        [2, 1],
        [4, 0],
      ],
    ]);
    for (const { together, index, measurement, loss } of batches) {
      using batch = whole.rows(20 * together * index, 20 * together * (index + 1));
      const gradient = await model.gradient(batch);
      using direction = gradient.gradient;
      const { directionalSharpness: exact } = await directionalSharpness({
        model,
        batch,
        direction,
        gradient,
      });
      const { criticalLearningRate, error } = measurement;
      expect(loss).toBeCloseTo(gradient.loss, 6);
      const off = Math.abs(Math.log(((criticalLearningRate as number) * exact) / 2));
      expect(off).toBeLessThan(Math.log(1 + Math.max(error ?? 0, 1e-3)));
    }
    const { batches: range } = result;
    const values = batches
      .filter(({ together }) => together === 1)
      .map((b) => b.measurement.criticalLearningRate as number);
    expect(range.criticalLearningRate).toBeCloseTo(
      Math.exp(values.map(Math.log).reduce((a, b) => a + b) / values.length),
      10,
    );
    expect(result.verdict).toBe("below");
    expect(result.sentence).toMatch(/^η = 0\.01 is [\d.]+ times below ηc = [\d.]+ \(/);
  });

  it("judges another batch along the same Δ, and the loss at η itself", async () => {
    const learningRate = 0.02;
    await checkLearningRate({ ...adamw, learningRate }, { directory: place("held out") });
    const configuration = parseCheck(adamw);
    using model = await loadWeights(configuration, undefined);
    await using narrow = await dataOf(model, adamw, 20);
    using optimizer = makeOptimizer(model, configuration.optimizer);
    for (let i = 1; i <= 5; i++) await optimizer.accumulateFrom(await narrow.training(4 + i));
    await using data = await dataOf(model, adamw, 80);
    const whole = await data.training(1);
    using first = whole.rows(0, 20);
    using second = whole.rows(20, 40);
    await optimizer.accumulateFrom(second);
    using direction = await optimizer.direction();
    const found = recordsOf("held out").filter(
      (record): record is CheckBatchRecord => record.type === "batch",
    )[1];
    const own = await criticalSharpness({
      model,
      batch: second,
      direction,
      gradient: await model.gradient(second),
    });
    const other = await criticalSharpness({
      model,
      batch: first,
      direction,
      gradient: await model.gradient(first),
    });
    const apart = (a: number | null | undefined, b: number) => Math.abs(Math.log((a as number) / b));
    expect(apart(found?.measurement.criticalLearningRate, own.criticalLearningRate)).toBeLessThan(1 / 8);
    expect(apart(found?.heldOut?.criticalLearningRate, other.criticalLearningRate)).toBeLessThan(1 / 8);
    const perturbation = { direction, learningRate };
    const at = found?.points.find((point) => point.learningRate === learningRate)?.loss;
    expect(at).toBe(await model.loss(second, { perturbation }));
    expect(found?.heldOutLoss).toBe(await model.loss(first, { perturbation }));
  });

  it("is below, above or neither by where it lies", async () => {
    const at = (learningRate: number, name: string, change = {}) =>
      checkLearningRate({ ...adamw, ...change, learningRate }, { directory: place(name) });
    const { batches } = await at(1e-3, "unit");
    const critical = batches.criticalLearningRate as number;
    const below = await at(critical / 10, "ten times below");
    expect([below.verdict, below.trial?.outcome]).toEqual(["below", "fell"]);
    const above = await at(critical * 10, "ten times above");
    expect(above.verdict).toBe("above");
    expect(above.sentence).toContain("too large for a warm-up that short");
    const edge = await at(critical, "at it", { trial: 0 });
    expect(edge.verdict).toBe("undecided");
    expect(edge.sentence).toMatch(/^It cannot be told whether/);
  });

  it("costs what was said, and at most 60 training steps", async () => {
    for (const name of ["unit", "ten times below", "quadratic"]) {
      const [question] = recordsOf(name);
      const end = recordsOf(name).at(-1);
      if (question?.type !== "question" || end?.type !== "end")
        throw new Error("Expected a question and an end");
      const cost = end.gradients + end.forwardPasses / 3;
      expect(cost).toBeLessThanOrEqual(60);
      expect(cost).toBeLessThanOrEqual(1.25 * question.expectedSteps);
    }
  });

  it("goes on after a stop at every moment, with the same records", async () => {
    const whole = withoutSeconds(recordsOf("unit"));
    const events: CheckEvent["type"][] = [];
    await checkLearningRate(
      { ...adamw, learningRate: 1e-3 },
      {
        directory: place("counted"),
        onProgress: ({ type }) => events.push(type),
      },
    );
    for (let at = 0; at < events.length; at += 3) {
      const directory = place(`stopped ${at}`);
      let seen = 0;
      const onProgress = () => {
        if (seen++ === at) throw new Error("crash");
      };
      await expect(
        checkLearningRate({ ...adamw, learningRate: 1e-3 }, { directory, onProgress }),
      ).rejects.toThrow("crash");
      await checkLearningRate({ ...adamw, learningRate: 1e-3 }, { directory });
      expect(withoutSeconds(recordsOf(`stopped ${at}`)), `at ${at}, ${events[at]}`).toEqual(whole);
      expect(existsSync(path.join(directory, "state"))).toBe(false);
    }
  });

  it("takes the moments and η that a run left", async () => {
    await train({ ...mlpRun, optimizer: { type: "adamw", learningRate: 0.01 } }, { directory: place("run") });
    const model = { directory: path.join(place("run"), "checkpoint") };
    const given = { ...adamw, model };
    const result = await checkLearningRate(
      { ...given, learningRate: 0.01 },
      { directory: place("of a run") },
    );
    const [question] = recordsOf("of a run");
    expect(question).toMatchObject({ moments: "stored", optimizerState: "optimizer.safetensors" });
    expect(result.cost.gradients).toBe(4 + 7);
    await expect(checkLearningRate(given, { directory: place("no rate") })).rejects.toThrow(
      "Expected a learning rate to ask about for learningRate but received none in the run's files: give one, --learning-rate 3e-4",
    );
  });

  it("makes do with data for one batch, and no trial", async () => {
    const result = await checkLearningRate(
      { ...quadratic, batch: { size: 200 }, learningRate: 0.01, trial: 0 },
      { directory: place("full batch") },
    );
    expect(result).toMatchObject({
      verdict: "below",
      trial: null,
      batches: { converged: 1 },
      heldOut: { converged: 0 },
    });
    expect(result.batchSizes).toHaveLength(1);
  });

  it("measures programs one batch after the other, unless what they return adds up", async () => {
    const fixtures = path.join(import.meta.dirname, "../models/programs/fixtures");
    const file = (name: string) => path.join(fixtures, name);
    const given = (name: string) => ({
      model: { directory: file(`${name}.pt2`) },
      data: { type: "tensors", files: [file(`${name}.safetensors`)] } as const,
      ...{ optimizer: { type: "sgd" } as const, learningRate: 1e-6, batches: 2, batch: { size: 2 } },
    });
    const whole = await checkLearningRate(given("cnn-train"), { directory: place("a program") });
    expect([whole.batches.converged, whole.batchSizes.length, whole.heldOut.converged > 0]).toEqual([
      2,
      1,
      true,
    ]);
    const cut = await checkLearningRate(
      { ...given("cnn-eval"), reduction: "mean-of-rows" },
      { directory: place("a program of rows") },
    );
    expect(cut.batchSizes.map(({ rows }) => rows)).toEqual([2, 4]);
  });

  it("refuses steps of weights that would lose them, before anything is written", async () => {
    const directory = place("bfloat16");
    const given = { ...adamw, parameterDtype: "bfloat16", learningRate: 1 } as const;
    await expect(checkLearningRate(given, { directory })).rejects.toThrow(
      /for parameterDtype, as the trial makes steps/,
    );
    expect(existsSync(directory)).toBe(false);
  });

  it("has a report with the loss along Δ, the trial and the batch sizes", async () => {
    const report = await writeReport(place("unit"));
    expect(Object.keys(report.figures)).toEqual(["step", "critical-sharpness", "loss"]);
    await expect(writeReport(folder)).rejects.toMatchObject({ code: "ERR_RUN_DIRECTORY" });
  });
});

describe("a trial", () => {
  async function tried(change: object, after: (records: number, stop: AbortController) => void = () => {}) {
    const configuration = parseCheck({ ...adamw, ...change });
    using model = await loadWeights(configuration, undefined);
    await using data = await dataOf(model, adamw, 20);
    const stop = new AbortController();
    const { signal } = stop;
    const cost = { gradients: 0, forwardPasses: 0 };
    const moments = new Moments(model, configuration.optimizer, undefined);
    const { learningRate = 0.01 } = change as { learningRate?: number };
    const subject: CheckSubject = { model, moments, configuration, learningRate, cost, signal };
    const before = await model.digest();
    const records: CheckRecord[] = [];
    let error: unknown;
    try {
      for await (const record of tryWarmup(subject, (step) => data.training(step))) {
        records.push(record);
        after(records.length, stop);
      }
    } catch (thrown) {
      error = thrown;
    }
    return { records, error, same: before === (await model.digest()) };
  }

  it("leaves every bit of the weights, whether it ends, is stopped or diverges", async () => {
    const ended = await tried({});
    expect([ended.records.length, ended.error, ended.same]).toEqual([7, undefined, true]);
    const stopped = await tried({}, (count, stop) => count === 3 && stop.abort());
    expect([stopped.records.length, (stopped.error as Error).name, stopped.same]).toEqual([
      3,
      "AbortError",
      true,
    ]);
    const thrown = await tried({}, (count) => {
      if (count === 2) throw new Error("crash");
    });
    expect([(thrown.error as Error).message, thrown.same]).toEqual(["crash", true]);
    const diverged = await tried({ optimizer: { type: "sgd" }, learningRate: 1e30 });
    expect(diverged.records.at(-1)).toMatchObject({ type: "diverged" });
    expect(diverged.same).toBe(true);
  });
});
