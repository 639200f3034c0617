import { estimate, type FittedEstimate, independent, logPoints, observe, unknownShape } from "./estimate.js";
import type { Line, Point } from "./line.js";
import { type CheckedOptions, type LineShape, type SearchResult, significance } from "./search-options.js";

/** Relative standard error above which a crossing is no answer; above the tolerance, where that is larger. */
const largestNoise = 1 / 8;

/** ln D of points that tell where a crossing is though nothing is known of the line's shape. */
const nearby = 3;

/** Deviation of an unknown of which nothing is known, in units of the largest rise. */
const vague = 1e3;

/** A crossing found through noise. */
export interface NoisyCrossing {
  learningRate: number;
  /** Standard error that noise makes, relative to it. */
  noise: number;
}

/** Whether noise of this size leaves an answer. */
export function isResolved(noise: number, { tolerance }: CheckedOptions): boolean {
  return noise <= Math.max(largestNoise, tolerance);
}

/**
 * Where the loss rises above L(θ) itself. A search encloses the place where the rise can be told from noise, which is beyond it: by as
 * much as a line of this slope and shape needs to rise so far. Within that bracket, the crossing of a curve through all points.
 * Undefined where the points do not say.
 */
export function crossingThroughNoise(line: Line, options: CheckedOptions): NoisyCrossing | undefined {
  const { lower, upper } = line;
  const known =
    options.slope === undefined ? quadraticCrossing(line) : powerCrossing(line, options.slope, options);
  if (!known) return undefined;
  let { x } = known;
  if (lower && upper && line.narrow) {
    const [low, high] = [Math.log(lower.learningRate), Math.log(upper.learningRate)];
    // What is subtracted depends on the result, and little: three times are enough.
    for (let i = 0; i < 3; i++) {
      const beyond = distanceToThreshold(line.threshold, known.slope, { ...known, x });
      const error = 2 * crossingNoise(line, known.slope, Math.exp(x), known.inverseExponent);
      x = Math.min(high - beyond + error, Math.max(low - beyond - error, known.x));
    }
  }
  const learningRate = Math.exp(x);
  return { learningRate, noise: crossingNoise(line, known.slope, learningRate, known.inverseExponent) };
}

/** By the shape that was learnt of other lines or else by none; where neither fits, where the search ended. */
function powerCrossing(line: Line, slope: number, { shape }: CheckedOptions) {
  const found = fitted(line, slope, shape) ?? fitted(line, slope, unknownShape);
  if (found) return { slope, x: found.x, inverseExponent: found.inverseExponent };
  if (!line.narrow) return undefined;
  return { slope, x: Math.log((line.lower as Point).learningRate), inverseExponent: 1 };
}

function quadraticCrossing(line: Line) {
  const fit = quadratic(line, 2);
  if (!fit || !(fit.slope > 3 * fit.slopeError) || !(fit.curvature > 0)) return undefined;
  return { slope: fit.slope, x: Math.log((2 * fit.slope) / fit.curvature), inverseExponent: 1 };
}

/**
 * Whether no evaluation more would leave an answer: the noise is far too large wherever the crossing may be. Judged from points near
 * the crossing alone, and by a line of which nothing was learnt: what is far off says little of where the crossing is.
 */
export function isHopeless(line: Line, options: CheckedOptions): boolean {
  const { slope } = options;
  if (line.noise === 0 || slope === undefined || !line.upper) return false;
  const points = logPoints(line.points, line.baseLoss, slope, line.noise).filter(
    ({ y }) => Math.abs(y) < nearby,
  );
  const found = estimate(points, undefined, unknownShape);
  // Two points of nearly one height, far apart in η, are none of a power.
  if (!found || isElsewhere(line, found)) return false;
  const farthest = Math.exp(found.x + 2 * found.deviation);
  return !isResolved(crossingNoise(line, slope, farthest, found.inverseExponent) / 2, options);
}

/** The crossing by a curve through all points. */
function fitted(line: Line, slope: number, shape: LineShape): FittedEstimate | undefined {
  const found = estimate(logPoints(line.points, line.baseLoss, slope, line.noise), undefined, shape);
  return found && !isElsewhere(line, found) ? found : undefined;
}

/** Whether a crossing is far outside the bracket, or of a shape that no line has: the points are not of a line such as it assumes. */
function isElsewhere({ lower, upper }: Line, { x, inverseExponent }: FittedEstimate): boolean {
  if (inverseExponent < 0.05 || inverseExponent > 20) return true;
  const isAbove = upper !== undefined && x > Math.log(upper.learningRate) + 0.1;
  // The lower end is below where the rise can be told from noise, not below the crossing.
  return isAbove || (lower !== undefined && x < Math.log(lower.learningRate) - 1);
}

/** How far above the crossing, in ln η, the rise first reaches the threshold: sη((η/ηc)^(1/a) − 1) = threshold, nearly. */
export function distanceToThreshold(
  threshold: number,
  slope: number,
  crossing: { x: number; inverseExponent: number },
): number {
  if (threshold === 0) return 0;
  const a = Math.max(0.1, crossing.inverseExponent);
  const height = threshold / (slope * Math.exp(crossing.x));
  return ((2 * a) / (1 + a)) * Math.log((1 + Math.sqrt(1 + 2 * height * (1 + a))) / 2);
}

/** Whether a fall was seen below the enclosed rise that noise does not explain. */
export function fellBelow(line: Line): boolean {
  const end = line.upper?.learningRate ?? Infinity;
  return line.points.some((p) => p.learningRate < end && p.loss - line.baseLoss < -line.threshold);
}

/**
 * Whether the loss rises from η = 0 on: the slope of the smallest rises that can be told from noise is that of a rise. Twice as sure
 * as of a single rise, since a search stops where noise is highest.
 */
export function risesFromZero(line: Line): boolean {
  const fit = quadratic(line, 64);
  return fit !== undefined && -fit.slope > 2 * significance * fit.slopeError;
}

/** Standard error of a crossing relative to it: the noise of a rise over what the rise gains in one ln η there, s·ηc/a. */
export function crossingNoise(
  line: Pick<Line, "noise">,
  slope: number,
  learningRate: number,
  inverseExponent: number,
): number {
  return (line.noise * Math.max(0.1, inverseExponent)) / (slope * learningRate);
}

/**
 * L(η) − L(θ) = e − sη + κη²/2 fitted to the points up to `reach` times the smallest rise, s with its error: e is the rounding of
 * L(θ), which all differences share and which would otherwise look like a slope.
 */
function quadratic(
  line: Line,
  reach: number,
): { slope: number; slopeError: number; curvature: number } | undefined {
  const end = reach * (line.upper?.learningRate ?? 0);
  const points = line.points.filter((p) => p.learningRate <= end && Number.isFinite(p.loss));
  if (points.length < 3) return undefined;
  // In units of one loss's noise, and of `end`.
  const unit = line.noise / Math.SQRT2;
  const largest = Math.max(...points.map(({ loss }) => Math.abs(loss - line.baseLoss)));
  let fit = independent([0, 0, 0], [1, vague * (1 + largest / unit), vague * (1 + largest / unit)]);
  for (const { learningRate, loss } of points) {
    const x = learningRate / end;
    fit = observe(fit, [1, -x, (x * x) / 2], (loss - line.baseLoss) / unit, 1);
  }
  const [, slope, curvature] = fit.mean as [number, number, number];
  const slopeError = Math.sqrt(Math.max(0, fit.covariance[1]?.[1] ?? Infinity));
  return {
    slope: (slope * unit) / end,
    slopeError: (slopeError * unit) / end,
    curvature: (curvature * unit) / end ** 2,
  };
}

/** What a finished search found. */
export type Outcome = Pick<
  SearchResult,
  "status" | "reason" | "criticalLearningRate" | "lower" | "upper" | "noise"
>;

/** Part of the tolerance by which the threshold of rises may move the middle of a bracket. */
const negligible = 1 / 8;

/** Judges what was evaluated: the bracket, what noise leaves of it, and what was not met. */
export function outcome(line: Line, options: CheckedOptions): Outcome {
  const lower = line.lower?.learningRate ?? 0;
  const upper = line.upper?.learningRate ?? Infinity;
  const ended = (status: Outcome["status"], criticalLearningRate: number): Outcome => ({
    status,
    reason: null,
    criticalLearningRate,
    lower,
    upper,
    noise: null,
  });
  const unresolved = (reason: Outcome["reason"], noise: number | null = null): Outcome => ({
    ...ended("unresolved", NaN),
    reason,
    noise,
  });
  // The last loss is above L(θ), within the noise: it may rise or not.
  if (!line.upper)
    return line.lower && line.lower.loss > line.baseLoss ? unresolved("noise") : ended("unbounded", Infinity);
  const middle = lower + (upper - lower) / 2;
  const jump = line.narrow && line.noise > 0 ? jumpNoise(line) : undefined;
  if (jump !== undefined) return { ...ended("converged", middle), noise: jump };
  if (isHopeless(line, options)) return unresolved("noise", crossingThroughNoise(line, options)?.noise);
  if (!line.lower) return options.slope === undefined ? ended("non-descent", 0) : unresolved("limit");
  if (line.noise === 0) return ended("converged", middle);
  if (options.slope === undefined && !fellBelow(line))
    return risesFromZero(line) ? { ...ended("non-descent", 0), lower: 0 } : unresolved("noise");
  const crossing = crossingThroughNoise(line, options);
  if (!crossing || !isResolved(crossing.noise, options)) return unresolved("noise", crossing?.noise);
  const { learningRate, noise } = crossing;
  const shift = noise * (line.threshold / line.noise);
  if (shift <= negligible * options.tolerance) return { ...ended("converged", middle), noise };
  const below = line.points
    .filter((p) => !p.above && p.learningRate <= learningRate)
    .map((p) => p.learningRate);
  return {
    ...ended("converged", Math.min(learningRate, upper)),
    lower: Math.max(0, ...below),
    noise,
  };
}

/**
 * Where the loss steps from not above L(θ) to far above it within the bracket, noise moves nothing: relative standard error of the
 * crossing by the slope between the two ends. Undefined where the step is no larger than noise makes.
 */
function jumpNoise({ lower, upper, baseLoss, threshold, noise }: Line): number | undefined {
  if (!lower || !upper || lower.loss > baseLoss) return undefined;
  if (!Number.isFinite(upper.loss)) return 0;
  const step = upper.loss - lower.loss;
  if (step <= 3 * threshold) return undefined;
  return (noise * Math.log(upper.learningRate / lower.learningRate)) / step;
}
