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
const daring = 0.25;

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
  const fromLower = lower === undefined ? Infinity : expected.x - lower;
  const fromUpper = upper === undefined ? Infinity : upper - expected.x;
  const nearer = Math.min(fromLower, fromUpper);
  if (nearer > width + daring * Math.min(expected.deviation, width))
    return { next: expected.x, closing: false };
  const step = width * 4 ** misses;
  const next = fromLower <= fromUpper ? (lower as number) + step : (upper as number) - step;
  return { next, closing: true };
}
