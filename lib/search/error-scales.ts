import { finest, fittedCrossing } from "./estimated.js";
import type { CheckedOptions, SearchResult } from "./search-options.js";

/** How far fits to so many evaluations err, as far as it was learnt. Plain data. */
export interface ErrorScale {
  /** Errors of the latest that were judged, over their deviations; the last first. */
  scores: number[];
  /** Lines that end there from one check to the next. */
  interval: number;
  /** Such lines before the next. */
  left: number;
}

/** Of fits to 1, 2 and 3 evaluations, or more. */
export type ErrorScales = ErrorScale[];

/** Part of fits that an error covers: 95 %, and a little, since searches end where deviations and scales happen to be small. */
const covered = 0.955;
/** Fits by which the next is judged. */
const remembered = 40;
/** Bounds of a scale. */
const [least, most] = [0.5, 100] as const;
/** Of fits too few to tell: a scale is at least so much, and so many times the largest score. */
const [unsure, beyond] = [3, 2] as const;
/** A fit is judged by one whose deviation is at most this part of its own. */
const better = 0.5;
/** A fit that is off by more than this, in ln η, and by twice what it said, is of lines that are not such as those before. */
const gross = 1 / 16;
/** Lines from one check to the next, at most. */
const longest = 16;

export function newScales(): ErrorScales {
  return [1, 2, 3].map(() => ({ scores: [], interval: 1, left: 0 }));
}

/** Whether a value, of a file for example, is of scales. */
export function acceptsScales(value: unknown): value is ErrorScales {
  return Array.isArray(value) && value.length === newScales().length && value.every(isScale);
}

function isScale(value: Partial<ErrorScale> | null): boolean {
  const { scores, interval, left } = value ?? {};
  const isRow = Array.isArray(scores) && scores.length <= remembered && scores.every((score) => score >= 0);
  return isRow && Number.isSafeInteger(interval) && Number.isSafeInteger(left);
}

/**
 * By how much deviations are to be multiplied to cover 95 % of lines: what covers as many of the fits before, counting the next one in
 * (split conformal prediction, Vovk et al. 2005).
 */
export function scaleOf({ scores }: ErrorScale): number {
  const sorted = [...scores].sort((a, b) => a - b);
  const rank = covered * (sorted.length + 1);
  const [below, above] = [sorted[Math.floor(rank) - 1], sorted[Math.ceil(rank) - 1]];
  if (above === undefined || below === undefined)
    return Math.min(most, Math.max(unsure, beyond * (sorted.at(-1) ?? 0)));
  return Math.min(most, Math.max(least, below + (rank - Math.floor(rank)) * (above - below)));
}

/**
 * Takes in a finished search: how far the fits to its first evaluations were from the one to all. Checks become rare where they find
 * nothing, and frequent where a fit was far off.
 */
export function learnScales(
  state: ErrorScales,
  result: SearchResult,
  options: Pick<CheckedOptions, "slope" | "shape" | "initialLearningRate" | "initialError">,
  noise: number,
): ErrorScales {
  const points = result.evaluations.map((one) => ({ ...one, above: false }));
  const line = { points, baseLoss: result.baseLoss as number, noise };
  const truth = fittedCrossing(line, options);
  if (!truth) return state;
  return state.map((stage, i) => {
    const isLast = i === state.length - 1;
    const counts = isLast
      ? range(i + 1, points.length - 1)
      : range(i + 1, Math.min(i + 1, points.length - 1));
    const fits = counts.flatMap((count) => fittedCrossing(line, options, count) ?? []);
    const judged = fits.filter(
      ({ deviation }) => truth.deviation <= Math.max(better * deviation, 2 * finest),
    );
    const isEnd = isLast ? points.length > i : points.length === i + 1;
    if (judged.length === 0) return isEnd ? { ...stage, left: Math.max(0, stage.left - 1) } : stage;
    return judged.reduce((learnt, fit) => learn(learnt, fit.deviation, Math.abs(fit.x - truth.x)), stage);
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

function learn(stage: ErrorScale, deviation: number, error: number): ErrorScale {
  const scores = [error / deviation, ...stage.scores].slice(0, remembered);
  if (error > Math.max(2 * scaleOf(stage) * deviation, gross)) return { scores, interval: 1, left: 0 };
  const next = stage.left === 0 ? Math.min(longest, 2 * stage.interval) : stage.interval;
  return { scores, interval: next, left: next };
}
