import { expected } from "../errors.js";
import { type LevelState, learnLevel, newLevel, predictLevel } from "./level.js";
import { learnShape, newShape, predictShape, refine, type ShapeState } from "./shape.js";
import type { LineShape, SearchResult } from "./types.js";

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
}

/** Everything a predictor knows, as plain JSON data: restored, it predicts the same bits. */
export interface PredictorState {
  level: LevelState | null;
  shape: ShapeState;
}

/**
 * Predicts the critical learning rate of the next line from those measured before it and from what is known of the line
 * without a forward pass: slope, loss and, if given, ‖Δ‖. In training the line changes a little from step to step, and
 * with small batches a lot, but not at random: ηc of a batch goes with its loss and against its slope.
 */
export class CriticalPredictor {
  #state: PredictorState = { level: null, shape: newShape() };

  /** The state so far; a copy. */
  state(): PredictorState {
    return structuredClone(this.#state);
  }

  /** Whether a value, of a file for example, is a state. */
  static accepts(value: unknown): value is PredictorState {
    const { level, shape } = (value ?? {}) as Record<string, unknown>;
    const learnt = (level as LevelState | null | undefined)?.means?.[0]?.features?.length;
    if (level !== null && (learnt === undefined || learnt > 3)) return false;
    return (level === null || sameForm(level, newLevel(learnt as number))) && sameForm(shape, newShape());
  }

  /** Takes the place of what was learnt. @throws TypeError if it is not a state. */
  restore(state: PredictorState): void {
    if (!CriticalPredictor.accepts(state)) throw expected("what state() gives", "state", state);
    this.#state = structuredClone(state);
  }

  /** @returns undefined before the first measurement. */
  predict(facts: LineFacts): Prediction | undefined {
    const { level, shape } = this.#state;
    const given = features(facts);
    const fits = level?.means[0]?.features.length === given.length && given.every(Number.isFinite);
    if (!level || !fits) return undefined;
    const { x, deviation } = predictLevel(level, given);
    return {
      learningRate: Math.exp(Math.min(400, Math.max(-400, x))),
      error: Math.min(50, Math.max(0.01, deviation)),
      shape: predictShape(shape),
    };
  }

  /** Takes in a finished search. One without a crossing teaches nothing. */
  learn(facts: LineFacts, result: SearchResult): void {
    if (result.status !== "converged") return;
    const { level, shape } = this.#state;
    const given = features(facts);
    if (!given.every(Number.isFinite)) return;
    const { slope, lossNoise = 0 } = facts;
    const noise = Math.SQRT2 * lossNoise;
    const x = refine(result, slope, predictShape(shape), noise);
    const same = level?.means[0]?.features.length === given.length ? level : newLevel(given.length);
    this.#state = {
      level: learnLevel(same, given, x),
      shape: learnShape(shape, result, slope, x, noise),
    };
  }
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
