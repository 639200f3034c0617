import { integerText, median, type Point, prose, type SharpnessData } from "../report/index.js";
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
    else series.measured.push({ x, y: number(measurement.criticalSharpness), ...bar(measurement) });
  }
  return series;
}

/** Between which λc is: the bracket's ends or, of an estimate, its error to either side. */
function bar({ criticalLearningRate, lower, upper, error }: Omit<MeasurementRecord, "evaluations">): {
  low: number;
  high: number;
} {
  const middle = criticalLearningRate ?? NaN;
  if (error !== null) return { low: 2 / (middle * (1 + error)), high: (2 * (1 + error)) / middle };
  // A lower end that is 0 was not looked for: the bar ends at the answer.
  return { low: 2 / (upper ?? NaN), high: 2 / (lower || middle) };
}

type Comparison = Pick<MeasurementRecord, "estimate" | "lower" | "upper" | "criticalLearningRate">;

/** How estimates compared with the certificates that were made in their place: one line for a table; none where there were none. */
export function estimateRows(measured: Iterable<{ measurement: Comparison | null }>): [string, string][] {
  const off: number[] = [];
  let covered = 0;
  for (const { measurement } of measured) {
    const { estimate, lower, upper } = measurement ?? {};
    if (!measurement || !estimate || !lower || !upper) continue;
    const { learningRate, error } = estimate;
    off.push(Math.abs(learningRate / (measurement.criticalLearningRate as number) - 1));
    if (learningRate * (1 + error) >= lower && learningRate / (1 + error) <= upper) covered++;
  }
  if (off.length === 0) return [];
  const apart = `${prose(100 * median(off))} % from the certificate in the median, ${prose(100 * Math.max(...off))} % at most`;
  return [
    [
      "Estimates",
      `${integerText(off.length)} of them certified: ${apart}; within its error in ${integerText(covered)}`,
    ],
  ];
}

export type StatusRow = readonly [status: string, count: string, meaning: string];

const meanings = [
  ["converged", "The rise of the loss above L(θ) was enclosed, or estimated, to the tolerance: λc = 2/ηc."],
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
