import type { SearchResult } from "../../search/index.js";
import { type Estimate, estimate } from "../../sharpness/index.js";
import { statistics, studentQuantile } from "../../statistics.js";

/** What an estimate needs to know of a measurement; null stands for what is not finite, as in records. */
export interface Measured {
  repeat: number;
  ratio: number;
  task: string;
  measurement: {
    status: SearchResult["status"];
    criticalSharpness: number | null;
    slope: number | null;
  };
}

/** λc of a task along the Δ of a ratio, over repeats. */
export interface MixPoint {
  ratio: number;
  task: string;
  /**
   * `non-descent` if the mean slope is not positive: λc is infinite then, ηc is 0. `unresolved` if the mean slope is
   * positive, or unknown, and no repeat tells how the loss bends: λc and ηc are NaN.
   */
  status: SearchResult["status"];
  criticalSharpness: number;
  criticalLearningRate: number;
  /** ∇L·Δ over the repeats: how far from 0 tells how sure the status is. */
  slope: Estimate;
  /** Of λc, with 95 % confidence; null of fewer than `fewestRepeats`. */
  interval: [low: number, high: number] | null;
  /** Repeats, and those whose Δ does not descend, that found no rise, or that could not be told from noise. */
  count: number;
  nonDescent: number;
  unbounded: number;
  unresolved: number;
}

/** Repeats below which nothing is said with confidence. */
export const fewestRepeats = 5;

/**
 * The lines of one task along one ratio's Δ, each taken as a quadratic −sη + κη²/2, and so their mean. A mean of λc would have to
 * leave out the repeats in which it is infinite, and so call a direction descending that is so half of the time.
 */
export interface PooledLine {
  /** s of each repeat; the others' mean where it is unknown. */
  slopes: number[];
  /** κ of each repeat; the others' mean where its search tells none: it does not descend, or was not resolved. */
  curvatures: number[];
  /** mean(s); NaN where no repeat has one. */
  slope: number;
  /** mean(κ); NaN where the slope is positive, or unknown, and no repeat tells κ. 0 where no line bends. */
  curvature: number;
  /** 2·slope/curvature: ηc, and below 0 by how much Δ fails to descend. */
  signedRate: number;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** κ = λc·s of a line that tells it. */
function curvature({ status, criticalSharpness, slope }: Measured["measurement"]): number | null {
  const tells = status === "converged" || status === "unbounded";
  return tells && criticalSharpness !== null && slope !== null ? criticalSharpness * slope : null;
}

/** mean(κ) over the repeats that tell it; NaN of none. */
export function pooledCurvature(measurements: readonly Measured["measurement"][]): number {
  return mean(measurements.map(curvature).filter((value) => value !== null));
}

/** @param typical mean(κ) where none of the repeats descends: of the nearest ratio that has one */
export function pooledLine(measurements: readonly Measured["measurement"][], typical = NaN): PooledLine {
  const slope = mean(measurements.flatMap((m) => m.slope ?? []));
  const own = pooledCurvature(measurements);
  const bend = Number.isNaN(own) && slope <= 0 ? typical : own;
  return {
    slopes: measurements.map((m) => m.slope ?? slope),
    curvatures: measurements.map((m) => curvature(m) ?? bend),
    slope,
    curvature: bend,
    signedRate: slope === 0 ? 0 : (2 * slope) / bend,
  };
}

export function mixPoint(measured: readonly Measured[], line: PooledLine): MixPoint {
  const { slope, signedRate } = line;
  const { ratio, task } = measured[0] as Measured;
  const criticalLearningRate = slope <= 0 ? 0 : signedRate;
  const counted = (status: SearchResult["status"]) =>
    measured.filter(({ measurement }) => measurement.status === status).length;
  return {
    ratio,
    task,
    status: statusOf(criticalLearningRate),
    criticalSharpness: 2 / criticalLearningRate,
    criticalLearningRate,
    slope: estimate(measured.flatMap(({ measurement }) => measurement.slope ?? [])),
    interval: interval(line),
    count: measured.length,
    nonDescent: counted("non-descent"),
    unbounded: counted("unbounded"),
    unresolved: counted("unresolved"),
  };
}

function statusOf(criticalLearningRate: number): SearchResult["status"] {
  if (Number.isNaN(criticalLearningRate)) return "unresolved";
  if (criticalLearningRate === 0) return "non-descent";
  return criticalLearningRate === Infinity ? "unbounded" : "converged";
}

/** Student's, of the signed ηc to first order, on whose scale the noise of slopes is added: as λc. */
function interval({
  slopes,
  curvatures,
  curvature,
  signedRate,
}: PooledLine): [low: number, high: number] | null {
  const values = slopes.map(
    (s, i) => (2 * s - signedRate * (curvatures[i] as number)) / curvature + signedRate,
  );
  if (values.length < fewestRepeats || !values.every(Number.isFinite)) return null;
  const { mean, standardError } = statistics(values);
  const reach = studentQuantile(values.length - 1) * standardError;
  const sharpness = (rate: number) => (rate > 0 ? 2 / rate : Infinity);
  return [sharpness(mean + reach), sharpness(mean - reach)];
}
