import { expected } from "../errors.js";
import {
  estimate,
  forget,
  type Gaussian,
  independent,
  type LogPoint,
  logPoints,
  observe,
  project,
  unknownShape,
} from "./estimate.js";
import { type LevelState, learnLevel, newLevel, predictLevel } from "./level.js";
import type { LineShape, SearchResult } from "./search-options.js";

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

/** One learner of the shape. Plain data. */
interface ShapeFit {
  /** Growth of the deviations from one line to the next: how fast it forgets. */
  growth: number;
  /** Distribution of a and b. */
  fit: Gaussian;
  /** Running sums of squares of the error at, and of y of, the point farthest from the crossing. */
  residual: number;
  reach: number;
}

/** What past lines say about the shape of the next. Plain data. */
export type ShapeState = ShapeFit[];

/** From a long memory, for noisy batches, to hardly any, for a shape that drifts. */
const growths = [1.05, 1.25, 2];
const memory = 0.85;
/** Noise of an answer, relative to it, above which its bracket says less than itself. */
const coarse = 1e-3;
const limits = [1, 0.3 ** 2];

export function newShape(): ShapeState {
  const { inverseExponent, bend, deviation } = unknownShape;
  return growths.map((growth) => ({
    growth,
    fit: independent([inverseExponent, bend], [deviation, deviation / 3]),
    residual: deviation ** 2 / 4,
    reach: 1 / 4,
  }));
}

/** The shape by the learner that erred least of late. */
export function predictShape(state: ShapeState): LineShape {
  const best = state.reduce((p, q) => (usual(q) < usual(p) ? q : p));
  const [a, b] = best.fit.mean as [number, number];
  return {
    inverseExponent: Math.min(8, Math.max(0.1, a)),
    bend: Math.min(0.25, Math.max(-0.25, b)),
    deviation: Math.min(1, Math.max(0.02, Math.sqrt(usual(best)))),
  };
}

/** Square of the usual error, for a point at y = 1. */
function usual({ residual, reach }: ShapeFit): number {
  return residual / reach;
}

/** ln ηc of a finished search, finer than its certificate: interpolated between the evaluations, kept within them. */
export function refine(result: SearchResult, slope: number, shape: LineShape, noise: number): number {
  // Through noise the answer itself is such an interpolation.
  if ((result.noise ?? 0) > coarse) return Math.log(result.criticalLearningRate);
  const lower = Math.log(result.lower);
  const upper = Math.log(result.upper);
  const points = logPoints(result.evaluations, result.baseLoss as number, slope, noise);
  const found = estimate(points, undefined, shape)?.x ?? (lower + upper) / 2;
  return Math.min(upper, Math.max(lower, found));
}

/** Takes in the points of a finished search whose crossing is at `x`. */
export function learnShape(
  state: ShapeState,
  result: SearchResult,
  slope: number,
  x: number,
  noise: number,
): ShapeState {
  const points = logPoints(result.evaluations, result.baseLoss as number, slope, noise).filter(
    ({ y }) => Math.abs(y) < 1.5,
  );
  if (points.length === 0) return state;
  const far = points.reduce((p, q) => (Math.abs(q.y) > Math.abs(p.y) ? q : p));
  return state.map((learner) => learn(learner, points, far, x));
}

function learn(learner: ShapeFit, points: readonly LogPoint[], far: LogPoint, x: number): ShapeFit {
  const typical = usual(learner);
  const square = far.y ** 2;
  const before = project(learner.fit, [far.y, square]);
  const error = (far.x - x - before.mean) ** 2;
  let { fit } = learner;
  for (const p of points) {
    const h = [p.y, p.y ** 2];
    const noise = typical * p.y ** 2 + 1e-4 + p.noise ** 2;
    // One odd line in ten is usual: the farther it is from what was expected, the less it counts.
    const odd = (p.x - x - project(fit, h).mean) ** 2 / (4 * (noise + before.variance));
    fit = observe(fit, h, p.x - x, noise * Math.max(1, odd));
  }
  return {
    growth: learner.growth,
    fit: forget(fit, learner.growth, limits),
    residual: memory * learner.residual + Math.min(error, 9 * typical * square),
    reach: memory * learner.reach + square,
  };
}
