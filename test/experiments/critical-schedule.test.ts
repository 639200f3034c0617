import path from "node:path";
import { expect, it } from "vitest";
import { parseConfiguration, type StepRecord, type TrainEvent, train } from "../../lib/experiments/index.js";
import { mlpRun, readMetrics, temporaryFolder, withoutSeconds } from "./helpers.js";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const within = { type: "constant", warmup: 0 } as const;
const run = {
  ...mlpRun,
  optimizer: { ...mlpRun.optimizer, learningRate: 10 },
  schedule: { type: "critical", fraction: 0.5, smoothing: 0.5, within },
  measure: { method: "estimated" },
} as const;
const stepsOf = (directory: string) =>
  readMetrics(directory).filter((record): record is StepRecord => record.type === "step");

it("η is a fraction of the smoothed ηc, and never more than the schedule's", async () => {
  await train(run, { directory: place("critical") });
  let critical: number | undefined;
  for (const { learningRate, measurement } of stepsOf(place("critical"))) {
    const found =
      measurement?.status === "converged" ? (measurement.criticalLearningRate as number) : undefined;
    if (found !== undefined) {
      const before: number = critical ?? found;
      critical = found < before ? found : Math.sqrt(before * found);
    }
    expect(learningRate / Math.min(10, 0.5 * (critical ?? Infinity))).toBeCloseTo(1, 12);
  }
  expect(critical).toBeGreaterThan(0);
  const small = { ...run, optimizer: { ...run.optimizer, learningRate: 1e-4 } };
  await train(small, { directory: place("small") });
  for (const { learningRate } of stepsOf(place("small"))) expect(learningRate).toBe(1e-4);
});

it("holds between measurements", async () => {
  await train({ ...run, measure: { ...run.measure, every: 3 } }, { directory: place("every third") });
  const steps = stepsOf(place("every third"));
  expect(steps[3]?.learningRate).toBe(steps[2]?.learningRate);
  expect(steps[4]?.learningRate).toBe(steps[2]?.learningRate);
});

it("goes on after a stop, bit for bit", async () => {
  const stop = (event: TrainEvent) => {
    if (event.type === "step" && event.step === 6) throw new Error("crash");
  };
  await expect(train(run, { directory: place("stopped"), onProgress: stop })).rejects.toThrow("crash");
  await train(run, { directory: place("stopped") });
  expect(withoutSeconds(readMetrics(place("stopped")))).toEqual(
    withoutSeconds(readMetrics(place("critical"))),
  );
});

it("needs to be measured", () => {
  expect(() => parseConfiguration({ ...run, measure: null })).toThrow(
    "for measure, as the schedule takes ηc",
  );
});
