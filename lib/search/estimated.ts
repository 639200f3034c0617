import { expectedCrossing, type FittedEstimate } from "./estimate.js";
import type { Line } from "./line.js";
import { crossingNoise } from "./noise.js";
import type { CheckedOptions, EstimatedCrossing } from "./search-options.js";

/** Of a normal distribution, the deviations to either side that hold 95 %. */
const covering = 1.96;

/** A crossing farther than this factor from all that was looked at is looked at before it is believed. */
const near = 2;
/** By how much deviations are multiplied of lines of which nothing was learnt. */
const unlearnt = 3;

/** Deviation below which a fit is believed by nobody. */
export const finest = 3e-4;

/** Where a line's crossing is by a fit to its first points; undefined where they do not say. */
export function fittedCrossing(
  { points, baseLoss, noise }: Pick<Line, "points" | "baseLoss" | "noise">,
  options: Pick<CheckedOptions, "slope" | "shape" | "initialLearningRate" | "initialError">,
  count = points.length,
): FittedEstimate | undefined {
  const { slope } = options;
  if (slope === undefined) return undefined;
  const found = expectedCrossing({ points: points.slice(0, count), baseLoss, noise }, { ...options, slope });
  return found && { ...found, deviation: Math.hypot(found.deviation, finest) };
}

/**
 * ηc by a fit to the points that a line has, with the relative error that covers it in 95 % of lines: the deviation of the fit, by the
 * scales that were learnt of how far such fits err, and the rounding of losses. Undefined where the points do not say, or where the
 * fit is outside the bracket that they make or far from all of them. Where no scales were learnt, a fit is believed only within the
 * tolerance of what was looked at, and its error is said to be no less than that.
 */
export function estimatedCrossing(line: Line, options: CheckedOptions): EstimatedCrossing | undefined {
  const { slope, errorScales, tolerance } = options;
  const found = fittedCrossing(line, options);
  if (!found || slope === undefined) return undefined;
  const learningRate = Math.exp(found.x);
  const reach = errorScales ? near : 1 + tolerance;
  const isNear = line.points.some(
    (p) => p.learningRate < reach * learningRate && learningRate < reach * p.learningRate,
  );
  if (!isNear) return undefined;
  const noise = crossingNoise(line, slope, learningRate, found.inverseExponent);
  const scale = errorScales?.[Math.min(line.points.length, errorScales.length) - 1] ?? unlearnt;
  const [lower, upper] = [line.lower?.learningRate ?? 0, line.upper?.learningRate ?? Infinity];
  const withNoise = (error: number) => Math.expm1(Math.hypot(error, covering * noise));
  const error = withNoise(scale * found.deviation);
  if (learningRate * (1 + error) < lower || learningRate > upper * (1 + error)) return undefined;
  const isInside = learningRate > lower && learningRate < upper;
  // What was seen on both sides bounds it, whatever the fit says.
  const bound = isInside
    ? withNoise(Math.log(Math.max(upper / learningRate, learningRate / lower)))
    : Infinity;
  const least = errorScales ? 0 : tolerance;
  // A rise that was seen is not before the first one.
  return {
    learningRate: Math.min(learningRate, upper),
    error: Math.max(least, Math.min(error, bound)),
    noise,
  };
}
