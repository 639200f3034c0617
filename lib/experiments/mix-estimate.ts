import type { SearchResult } from "../search/index.js";
import { type Estimate, estimate } from "./estimate.js";

/** What an estimate needs to know of a measurement; null stands for an infinite λc, as in records. */
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
  /** `non-descent` if the mean slope is not positive: λc is infinite then, ηc is 0. */
  status: SearchResult["status"];
  criticalSharpness: number;
  criticalLearningRate: number;
  /** ∇L·Δ over the repeats: how far from 0 tells how sure the status is. */
  slope: Estimate;
  /** Of λc, by resampling the repeats; null of one repeat. */
  interval: [low: number, high: number] | null;
  /** Repeats, and those whose Δ does not descend or found no rise. */
  count: number;
  nonDescent: number;
  unbounded: number;
}

/**
 * λc of the mean loss over repeats, as if each line were a quadratic −sη + κη²/2: λc = κ/s, so that it is mean(κ)/mean(s)
 * of the mean, with κᵢ = λcᵢ·sᵢ of the repeats that descend. Of one repeat it is that repeat's λc. A mean of λc would
 * have to leave out the repeats where it is infinite, and so call a direction descending that is so half of the time.
 */
export function pooledSharpness(measurements: readonly Measured["measurement"][]): number {
  let slopes = 0;
  let curvatures = 0;
  let descending = 0;
  for (const { status, criticalSharpness, slope } of measurements) {
    slopes += slope ?? 0;
    if (status === "non-descent") continue;
    curvatures += (criticalSharpness ?? 0) * (slope ?? 0);
    descending++;
  }
  if (descending === 0 || !(slopes > 0)) return Infinity;
  return curvatures / descending / (slopes / measurements.length);
}

/** One point, without its interval. */
export function mixPoint(measured: readonly Measured[]): MixPoint {
  const { ratio, task } = measured[0] as Measured;
  const measurements = measured.map(({ measurement }) => measurement);
  const criticalSharpness = pooledSharpness(measurements);
  const counted = (status: SearchResult["status"]) => measurements.filter((m) => m.status === status).length;
  return {
    ratio,
    task,
    status:
      criticalSharpness === Infinity ? "non-descent" : criticalSharpness === 0 ? "unbounded" : "converged",
    criticalSharpness,
    criticalLearningRate: 2 / criticalSharpness,
    slope: estimate(measurements.map(({ slope }) => slope ?? NaN)),
    interval: null,
    count: measurements.length,
    nonDescent: counted("non-descent"),
    unbounded: counted("unbounded"),
  };
}
