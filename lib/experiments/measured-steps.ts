import { integerText, type Point, type SharpnessData } from "../report/index.js";
import type { MeasurementRecord } from "../sharpness/index.js";

/** A step of a training, and what was measured of its update. */
export interface MeasuredStep {
  step: number;
  loss: number;
  learningRate: number;
  measurement: Omit<MeasurementRecord, "evaluations"> | null;
}

/** What is drawn over steps. */
export interface StepSeries extends SharpnessData {
  loss: Point[];
  learningRate: Point[];
  /** Of each measurement. */
  forwardPasses: number[];
}

export function stepSeries(steps: Iterable<MeasuredStep>): StepSeries {
  const number = (value: number | null): number => value ?? NaN;
  const series = {
    ...{ loss: [] as Point[], learningRate: [] as Point[], threshold: [] as Point[] },
    measured: [] as (Point & { low: number; high: number })[],
    ...{ nonDescent: [] as number[], unbounded: [] as number[], unresolved: [] as number[] },
    forwardPasses: [] as number[],
  };
  for (const { step: x, loss, learningRate, measurement } of steps) {
    series.loss.push({ x, y: number(loss) });
    series.learningRate.push({ x, y: learningRate });
    if (learningRate > 0) series.threshold.push({ x, y: 2 / learningRate });
    if (!measurement) continue;
    series.forwardPasses.push(measurement.forwardPasses);
    if (measurement.status === "non-descent") series.nonDescent.push(x);
    else if (measurement.status === "unbounded") series.unbounded.push(x);
    else if (measurement.status === "unresolved") series.unresolved.push(x);
    else
      series.measured.push({
        x,
        y: number(measurement.criticalSharpness),
        low: 2 / number(measurement.upper),
        // A lower end that is 0 was not looked for: the bar ends at the answer.
        high: 2 / (measurement.lower || number(measurement.criticalLearningRate)),
      });
  }
  return series;
}

export type StatusRow = readonly [status: string, count: string, meaning: string];

const meanings = [
  ["converged", "The rise of the loss above L(θ) was enclosed to the tolerance: λc = 2/ηc."],
  ["non-descent", "Δ does not descend: every step along it raises the loss, ηc = 0 and λc = ∞."],
  ["unbounded", "The loss rose at no η that was tried: ηc = ∞ and λc = 0."],
  [
    "unresolved",
    "It cannot be told: the loss changes by no more than its rounding noise, or the crossing lies below all that was tried.",
  ],
] as const;

/** How measurements ended, for a table. */
export function statusRows(steps: Iterable<Pick<MeasuredStep, "measurement">>): StatusRow[] {
  const counts = new Map<string, number>();
  for (const { measurement } of steps)
    if (measurement) counts.set(measurement.status, (counts.get(measurement.status) ?? 0) + 1);
  return meanings.map(([status, meaning]) => [status, integerText(counts.get(status) ?? 0), meaning]);
}
