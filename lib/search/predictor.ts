import { expected } from "../errors.js";
import { acceptsScales, type ErrorScales, learnScales, newScales, scaleOf } from "./error-scales.js";
import { estimate, logPoints } from "./estimate.js";
import { type LevelState, learnLevel, newLevel, predictLevel } from "./level.js";
import type { LineShape, SearchResult } from "./search-options.js";
import { learnShape, newShape, predictShape, type ShapeState } from "./shape.js";

/** What is known of a line before it is searched. */
export interface LineFacts {
  /** s = ∇L·Δ, > 0 */
  slope: number;
  /** L(θ) */
  baseLoss: number;
  /** ‖Δ‖, if at hand: it helps with adaptive optimizers. */
  norm?: number;
  /** σ: standard deviation of the rounding of one loss. Default 0. */
  lossNoise?: number;
}

export interface Prediction {
  /** Expected ηc. */
  learningRate: number;
  /** Standard deviation of ln ηc about it. */
  error: number;
  shape: LineShape;
  /** By how much the deviations of estimates are to be multiplied: see `SearchOptions`. */
  errorScales: readonly number[];
  /** Numbers of evaluations after which an estimate should be checked. */
  check: readonly number[];
}

/** Everything a predictor knows, as plain JSON data: restored, it predicts the same bits. */
export interface PredictorState {
  level: LevelState | null;
  shape: ShapeState;
  scales: ErrorScales;
}

/**
 * Predicts the critical learning rate of the next line from those measured before it and from what is known of the line
 * without a forward pass: slope, loss and, if given, ‖Δ‖. In training the line changes a little from step to step, and
 * with small batches a lot, but not at random: ηc of a batch goes with its loss and against its slope.
 */
export class CriticalPredictor {
  #state: PredictorState = { level: null, shape: newShape(), scales: newScales() };

  /** The state so far; a copy. */
  state(): PredictorState {
    return structuredClone(this.#state);
  }

  /** Whether a value, of a file for example, is a state. */
  static accepts(value: unknown): value is PredictorState {
    const { level, shape, scales } = (value ?? {}) as Record<string, unknown>;
    const learnt = (level as LevelState | null | undefined)?.means?.[0]?.features?.length;
    if (level !== null && (learnt === undefined || learnt > 3)) return false;
    const isLevel = level === null || sameForm(level, newLevel(learnt as number));
    return isLevel && sameForm(shape, newShape()) && acceptsScales(scales);
  }

  /** What a state of before estimates had errors knew, as a state of today. What is none stays what it is. */
  static upgraded(value: unknown): unknown {
    const { shape, ...rest } = (value ?? {}) as Record<string, unknown>;
    if (!Array.isArray(shape)) return value;
    const unknown = newShape();
    return { ...rest, shape: shape.map((fit, i) => ({ ...unknown[i], ...fit })), scales: newScales() };
  }

  /** Takes the place of what was learnt. @throws TypeError if it is not a state. */
  restore(state: PredictorState): void {
    if (!CriticalPredictor.accepts(state)) throw expected("what state() gives", "state", state);
    this.#state = structuredClone(state);
  }

  /** @returns undefined before the first measurement. */
  predict(facts: LineFacts): Prediction | undefined {
    const { level, shape, scales } = this.#state;
    const given = features(facts);
    const fits = level?.means[0]?.features.length === given.length && given.every(Number.isFinite);
    if (!level || !fits) return undefined;
    const { x, deviation } = predictLevel(level, given);
    return {
      learningRate: Math.exp(Math.min(400, Math.max(-400, x))),
      error: Math.min(50, Math.max(0.01, deviation)),
      shape: predictShape(shape),
      errorScales: scales.map(scaleOf),
      check: scales.flatMap(({ left }, i) => (left === 0 ? [i + 1] : [])),
    };
  }

  /** Takes in a finished search. One without a crossing teaches nothing. */
  learn(facts: LineFacts, result: SearchResult): void {
    if (result.status !== "converged") return;
    const { level, shape, scales } = this.#state;
    const given = features(facts);
    if (!given.every(Number.isFinite)) return;
    const { slope, lossNoise = 0 } = facts;
    const noise = Math.SQRT2 * lossNoise;
    const prediction = this.predict(facts);
    const x = refine(result, slope, predictShape(shape), noise);
    const same = level?.means[0]?.features.length === given.length ? level : newLevel(given.length);
    this.#state = {
      level: learnLevel(same, given, x),
      // Of a crossing that the shape itself told nothing is to be learnt of the shape.
      shape: isToldByShape(result) ? shape : learnShape(shape, result, slope, x, noise),
      scales: prediction ? learnScales(scales, result, lineOptions(slope, prediction), noise) : scales,
    };
  }
}

function isToldByShape({ error, evaluations }: SearchResult): boolean {
  return error !== null && evaluations.length < 2;
}

/** What a search had that went by a prediction. */
function lineOptions(slope: number, { learningRate, error, shape }: Prediction) {
  return { slope, initialLearningRate: learningRate, initialError: error, shape };
}

/** Logarithms, so that effects are exponents; losses may be negative in general. */
function features(facts: LineFacts): number[] {
  if (typeof facts !== "object" || facts === null) throw expected("an object", "facts", facts);
  const { slope, baseLoss, norm } = facts;
  const known = [Math.log(slope), Math.log(Math.max(Math.abs(baseLoss), 1e-12))];
  return norm === undefined ? known : [...known, Math.log(Math.max(norm, 1e-300))];
}

/** Whether two values have the same keys, lengths and types throughout, with finite numbers. */
function sameForm(value: unknown, model: unknown): boolean {
  if (typeof model === "number") return Number.isFinite(value);
  if (typeof model !== "object" || model === null) return typeof value === typeof model;
  if (typeof value !== "object" || value === null || Array.isArray(value) !== Array.isArray(model))
    return false;
  const keys = Object.keys(model);
  if (Object.keys(value).length !== keys.length) return false;
  return keys.every((key) => sameForm((value as never)[key], (model as never)[key]));
}

/** Noise of an answer, relative to it, above which its bracket says less than itself. */
const coarse = 1e-3;

/** ln ηc of a finished search, finer than its certificate: interpolated between the evaluations, kept within them. */
export function refine(result: SearchResult, slope: number, shape: LineShape, noise: number): number {
  // An estimate, or an answer through noise, is such an interpolation itself.
  if (result.error !== null || (result.noise ?? 0) > coarse) return Math.log(result.criticalLearningRate);
  const lower = Math.log(result.lower);
  const upper = Math.log(result.upper);
  const points = logPoints(result.evaluations, result.baseLoss as number, slope, noise);
  const found = estimate(points, undefined, shape)?.x ?? (lower + upper) / 2;
  return Math.min(upper, Math.max(lower, found));
}
