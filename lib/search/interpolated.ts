import { type Estimate, expectedCrossing, extrapolatedSlope, type FittedEstimate } from "./estimate.js";
import type { Line } from "./line.js";
import { distanceToThreshold, isHopeless } from "./noise.js";
import type { CheckedOptions } from "./search-options.js";

/** Evaluations allowed beyond those of a plain bisection, while the bracket is narrowed. */
const slack = 3;
/** Largest factor of one step where the points say where the crossing is, and where they say nothing. */
const longest = Math.log(64);
const blind = Math.log(16);
/** Of one step up, where nothing is known of a line and its first crossing is looked for: bisection's. */
const careful = Math.LN2;

/**
 * Root-finder on ψ(η) = (L(η) − L(θ))/η in logarithms, started by ψ(0) = −s. Evaluations go where `estimate` and `place`
 * say, within bounds that keep their number below that of a plain bisection plus `slack`.
 */
export async function interpolate(line: Line, options: CheckedOptions): Promise<void> {
  await interpolateUntil(line, options);
}

/**
 * Stops before the certificate where the points are enough: evaluations then go to the expected crossing itself, where a further one
 * says most of where it is, and not to its sides.
 */
export async function interpolateUntil(
  line: Line,
  options: CheckedOptions,
  isEnough?: (line: Line) => boolean,
): Promise<void> {
  // A little less than the tolerance asks, so that rounding in the logarithms cannot miss it.
  const width = -Math.log1p(-options.tolerance) * (1 - 1e-3);
  const aim: Aim = { isEnough: () => isEnough?.(line) ?? false, target: isEnough ? expectedPlace : place };
  await enclose(line, options, width, aim);
  await narrow(line, options, width, aim);
}

/** What a search is after. */
interface Aim {
  isEnough: () => boolean;
  /** Where to evaluate, of what is expected. */
  target: typeof place;
}

function expectedPlace({ expected }: Placement): { next: number; closing: boolean } {
  return { next: expected.x, closing: false };
}

function crossing(line: Line, options: CheckedOptions): FittedEstimate | undefined {
  const slope = options.slope ?? extrapolatedSlope(line);
  if (slope === undefined) return undefined;
  const found = expectedCrossing(line, { ...options, slope });
  if (!found) return undefined;
  found.x += distanceToThreshold(line.threshold, slope, found);
  // Far outside the bracket it is of another line than this one.
  const beyond = Math.max(
    line.lower ? Math.log(line.lower.learningRate) - found.x : 0,
    line.upper ? found.x - Math.log(line.upper.learningRate) : 0,
  );
  return beyond > 0.1 ? undefined : found;
}

/** Steps out, or in, until one point lies on each side of the crossing or a cap is reached. */
async function enclose(line: Line, options: CheckedOptions, width: number, aim: Aim): Promise<void> {
  const start = Math.log(options.initialLearningRate);
  const reach = options.maximumDoublings * Math.LN2;
  if (!line.lower && !line.upper) await line.evaluate(options.initialLearningRate);
  for (let steps = 0; !line.lower || !line.upper; steps++) {
    const end = Math.log((line.lower ?? line.upper)?.learningRate as number);
    const sign = line.lower ? 1 : -1;
    const stride = sign > 0 && options.firstCrossing === true ? careful : longest;
    const room = sign * (start - end) + reach;
    if (room <= 1e-9 || isHopeless(line, options) || aim.isEnough()) return;
    const expected = crossing(line, options);
    // Each step that falls short makes the next longer: without an expectation at once, with one from the fourth on.
    const least = Math.min(blind, width * 4 ** Math.max(0, steps - 2));
    let step = Math.min(blind, Math.LN2 * 2 ** steps);
    if (expected !== undefined) {
      const lower = line.lower && end;
      const upper = line.upper && end;
      const target = aim.target({ lower, upper, expected, width, misses: 0 }).next;
      step = Math.min(longest, Math.max(least, sign * (target - end)));
    }
    await line.evaluate(Math.exp(end + sign * Math.min(step, stride, room)));
  }
}

/**
 * Narrows the bracket. With k evaluations left to the bound no point may leave more than width·2^(k−1), which bisection
 * finishes in the k−1 that follow: hence at most ⌈log₂(bracket/width)⌉ + slack evaluations.
 */
async function narrow(line: Line, options: CheckedOptions, width: number, aim: Aim): Promise<void> {
  let left: number | undefined;
  let misses = 0;
  while (line.lower && line.upper && !line.narrow && !isHopeless(line, options) && !aim.isEnough()) {
    const lower = Math.log(line.lower.learningRate);
    const upper = Math.log(line.upper.learningRate);
    left ??= Math.max(0, Math.ceil(Math.log2((upper - lower) / width))) + slack;
    const allowed = width * 2 ** (Math.max(left, 1) - 1);
    const middle = (lower + upper) / 2;
    const expected = crossing(line, options);
    let { next, closing } = expected
      ? aim.target({ lower, upper, expected, width, misses })
      : { next: middle, closing: false };
    if (next <= lower || next >= upper) next = middle;
    const fromLower = expected !== undefined && next > expected.x;
    next = Math.max(upper - allowed, Math.min(lower + allowed, next));
    const { above } = await line.evaluate(Math.exp(next));
    misses = closing && above !== fromLower ? misses + 1 : 0;
    left--;
  }
}

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
