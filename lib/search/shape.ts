import { estimate, type LogPoint, logPoints, unknownShape } from "./estimate.js";
import { forget, type Gaussian, independent, observe, project } from "./gaussian.js";
import type { LineShape, SearchResult } from "./types.js";

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
