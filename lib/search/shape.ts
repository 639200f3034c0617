import { estimate, logPoints, unknownShape } from "./estimate.js";
import { forget, type Gaussian, independent, observe, project } from "./gaussian.js";
import type { LineShape, SearchResult } from "./types.js";

/** What past lines say about the shape of the next. Plain data. */
export interface ShapeState {
  /** Distribution of a and b. */
  fit: Gaussian;
  /** Weighted sums of squares of the residuals at, and of y of, the point farthest from the crossing. */
  residual: number;
  reach: number;
}

const limits = [1, 0.3 ** 2];
const memory = 0.85;

export function newShape(): ShapeState {
  const { inverseExponent, bend, deviation } = unknownShape;
  return {
    fit: independent([inverseExponent, bend], [deviation, deviation / 3]),
    residual: deviation ** 2 / 4,
    reach: 1 / 4,
  };
}

export function predictShape({ fit, residual, reach }: ShapeState): LineShape {
  const [a, b] = fit.mean as [number, number];
  return {
    inverseExponent: Math.min(20, Math.max(0.1, a)),
    bend: Math.min(1, Math.max(-1, b)),
    deviation: Math.min(1, Math.max(0.02, Math.sqrt(residual / reach))),
  };
}

/** ln ηc of a finished search, finer than its certificate: interpolated between the evaluations, kept within them. */
export function refine(result: SearchResult, slope: number, shape: LineShape): number {
  const lower = Math.log(result.lower);
  const upper = Math.log(result.upper);
  const points = logPoints(result.evaluations, result.baseLoss as number, slope);
  const found = estimate(points, undefined, shape)?.x ?? (lower + upper) / 2;
  return Math.min(upper, Math.max(lower, found));
}

/** Takes in the points of a finished search whose crossing is at `x`. */
export function learnShape(state: ShapeState, result: SearchResult, slope: number, x: number): ShapeState {
  const points = logPoints(result.evaluations, result.baseLoss as number, slope).filter(
    (p) => Math.abs(p.y) < 1.5,
  );
  const far = points.reduce((best, p) => (Math.abs(p.y) > Math.abs(best.y) ? p : best), { x, y: 0 });
  const { mean, variance } = project(state.fit, [far.y, far.y ** 2]);
  const error = far.x - x - mean;
  // One odd line in ten is usual: it counts as three deviations, not as what it is.
  const usual = state.residual / state.reach;
  const residual = memory * state.residual + Math.min(error ** 2, 9 * usual * far.y ** 2);
  const reach = memory * state.reach + far.y ** 2;
  let fit = state.fit;
  for (const p of points) {
    const h = [p.y, p.y ** 2];
    const noise = usual * p.y ** 2 + 1e-4;
    const odd = (p.x - x - project(fit, h).mean) ** 2 / (4 * (noise + variance));
    fit = observe(fit, h, p.x - x, noise * Math.max(1, odd));
  }
  return { fit: forget(fit, 1.05, limits), residual, reach };
}
