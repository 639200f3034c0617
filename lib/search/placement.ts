import type { Estimate } from "./estimate.js";

/** What a placement goes by; every position is a natural logarithm of a learning rate. */
export interface Placement {
  /** Largest point known not to rise, before `upper`. */
  lower: number | undefined;
  /** Smallest point known to rise. */
  upper: number | undefined;
  /** Where the crossing is expected. */
  expected: Estimate;
  /** Widest bracket that is narrow enough. */
  width: number;
  /** How many closing steps in a row fell short of the crossing. */
  misses: number;
}

/** How many deviations beyond its reach the crossing may be expected for a closing step to be tried. */
const daring = 0.5;

/**
 * Where to evaluate next. A bracket closes when one point lies just below the crossing and one just above, at most `width`
 * apart. So if the crossing is expected within `width` of an end of the bracket, the point exactly `width` from that end
 * finishes. Otherwise the expected crossing itself: whichever side it turns out on, the closing step after it has the
 * whole width to make up for the error.
 */
export function place({ lower, upper, expected, width, misses }: Placement): {
  next: number;
  closing: boolean;
} {
  const { x, deviation } = expected;
  const fromLower = lower === undefined ? Infinity : inside(x - lower, deviation);
  const fromUpper = upper === undefined ? Infinity : inside(upper - x, deviation);
  const nearer = Math.min(fromLower, fromUpper);
  if (nearer > width + daring * Math.min(deviation, width)) {
    const next = fromLower <= fromUpper ? (lower as number) + fromLower : (upper as number) - fromUpper;
    return { next, closing: false };
  }
  const step = width * 4 ** misses;
  const next = fromLower <= fromUpper ? (lower as number) + step : (upper as number) - step;
  return { next, closing: true };
}

/**
 * Expected distance from an end of the bracket, given that the crossing lies beyond it: the mean of a normal distribution
 * cut off at 0.
 */
function inside(distance: number, deviation: number): number {
  const t = distance / Math.max(deviation, 1e-300);
  if (t > 4) return distance;
  if (t < -4) return -deviation / t;
  return distance + (deviation * density(t)) / below(t);
}

function density(t: number): number {
  return Math.exp(-(t * t) / 2) / Math.sqrt(2 * Math.PI);
}

/** Φ(t), to a few parts in a hundred for |t| ≤ 4 (Page 1977). */
function below(t: number): number {
  return 1 / (1 + Math.exp(-1.5976 * t - 0.070566 * t ** 3));
}
