import type { Line } from "./line.js";
import { crossingThroughNoise, fellBelow, isHopeless, isResolved, risesFromZero } from "./noise.js";
import type { CheckedOptions } from "./options.js";
import type { SearchResult } from "./types.js";

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
