import {
  forget,
  type Gaussian,
  independent,
  type LogPoint,
  logPoints,
  observe,
  project,
  unknownShape,
} from "./estimate.js";
import type { LineShape, SearchResult } from "./search-options.js";

/** One learner of the shape. Plain data. */
interface ShapeFit {
  /** Growth of the deviations from one line to the next: how fast it forgets. */
  growth: number;
  /** Distribution of a and b. */
  fit: Gaussian;
  /** Running sums of squares of the error at, and of y of, the point farthest from the crossing. */
  residual: number;
  reach: number;
  /** Running sums of squares of the error of, and of y·y′ at, a line of the usual bend through the two points farthest from it. */
  bendResidual: number;
  bendReach: number;
}

/** What past lines say about the shape of the next: one for each way to forget. Plain data. */
export type ShapeState = ShapeFit[];

/** From a long memory, for noisy batches, to hardly any, for a shape that drifts. */
const growths = [1.05, 1.25, 2];
const memory = 0.85;
const limits = [1, 0.3 ** 2];

export function newShape(): ShapeState {
  const { inverseExponent, bend, deviation, bendDeviation } = unknownShape;
  return growths.map((growth) => ({
    growth,
    fit: independent([inverseExponent, bend], [deviation, deviation / 3]),
    residual: deviation ** 2 / 4,
    reach: 1 / 4,
    bendResidual: bendDeviation ** 2 / 16,
    bendReach: 1 / 16,
  }));
}

/** The shape by the learner that erred least of late. */
export function predictShape(state: ShapeState): LineShape {
  const best = state.reduce((p, q) => (usual(q) < usual(p) ? q : p));
  const [a, b] = best.fit.mean as [number, number];
  return {
    inverseExponent: Math.min(8, Math.max(0.1, a)),
    bend: Math.min(1, Math.max(-1, b)),
    deviation: Math.min(1, Math.max(0.02, Math.sqrt(usual(best)))),
    bendDeviation: Math.min(20, Math.max(0.02, Math.sqrt(best.bendResidual / best.bendReach))),
  };
}

/** Square of the usual error, for a point at y = 1. */
function usual({ residual, reach }: ShapeFit): number {
  return residual / reach;
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
  const bent = bendError(learner, points, x);
  const usualBend = learner.bendResidual / learner.bendReach;
  return {
    growth: learner.growth,
    fit: forget(fit, learner.growth, limits),
    residual: memory * learner.residual + Math.min(error, 9 * typical * square),
    reach: memory * learner.reach + square,
    bendResidual: memory * learner.bendResidual + Math.min(bent.square, 9 * usualBend * bent.reach),
    bendReach: memory * learner.bendReach + bent.reach,
  };
}

/**
 * How far a line of the usual bend through the two points farthest from the crossing misses it, squared, and what it is in proportion to, the
 * square of y·y′. Nothing of fewer than three points, of which two make the crossing itself.
 */
function bendError(
  { fit }: ShapeFit,
  points: readonly LogPoint[],
  x: number,
): { square: number; reach: number } {
  const [p, q, nearest] = [...points].sort((one, other) => Math.abs(other.y) - Math.abs(one.y));
  if (!p || !q || !nearest || Math.abs(p.y - q.y) < Math.abs(q.y) / 4) return { square: 0, reach: 0 };
  const bend = fit.mean[1] as number;
  const inverseExponent = (p.x - q.x) / (p.y - q.y) - bend * (p.y + q.y);
  const miss = q.x - inverseExponent * q.y - bend * q.y ** 2 - x;
  return { square: miss ** 2, reach: (p.y * q.y) ** 2 };
}
