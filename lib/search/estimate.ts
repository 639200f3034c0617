import { type Gaussian, independent, observe } from "./gaussian.js";
import type { Line } from "./line.js";
import type { LineShape } from "./types.js";

/** An expected crossing: ln ηc and its standard deviation. */
export interface Estimate {
  x: number;
  deviation: number;
}

/** One that a fit gives, with the line's a (see `LineShape`) at the crossing. */
export interface FittedEstimate extends Estimate {
  inverseExponent: number;
}

/** A point of the line in the coordinates in which it is nearly straight. */
export interface LogPoint {
  /** ln η */
  x: number;
  /** ln D(η) */
  y: number;
  /** Standard deviation of y that the noise of the losses makes. */
  noise: number;
}

/** What is assumed of a line nothing is known of: near a quadratic. */
export const unknownShape: LineShape = { inverseExponent: 1, bend: 0, deviation: 0.3 };

/** Below this a normalised rise is as likely rounding as curvature. */
const visible = 1e-3;

/**
 * The points as (ln η, ln D). With ψ(η) = (L(η) − L(θ))/η and ψ(0) = −s, the normalised rise D(η) = 1 + ψ(η)/s is 1 at the
 * crossing and 0 at η = 0. On a quadratic D = η/ηc, in general it is close to a power of η. Points of no visible or of
 * negative curvature (D ≤ 0) are left out.
 *
 * @param noise standard deviation of a loss's difference from the base loss
 */
export function logPoints(
  points: readonly { learningRate: number; loss: number }[],
  baseLoss: number,
  slope: number,
  noise = 0,
): LogPoint[] {
  return points.flatMap(({ learningRate, loss }) => {
    const rise = 1 + (loss - baseLoss) / learningRate / slope;
    const uncertain = noise / learningRate / slope;
    if (!(rise > Math.max(visible, 3 * uncertain) && Number.isFinite(rise))) return [];
    return [{ x: Math.log(learningRate), y: Math.log(rise), noise: uncertain / rise }];
  });
}

/**
 * Where the crossing is, by a Gaussian fit of ln η = ln ηc + a·y + b·y², y = ln D, to the points: linear in the unknowns
 * ln ηc, a and b, of which `prior` and `shape` say what is known beforehand. One point and an expected shape give ηc
 * at once, two give a, three b.
 *
 * @returns undefined where the points say nothing.
 */
export function estimate(
  points: readonly LogPoint[],
  prior: Estimate | undefined,
  shape: LineShape,
): FittedEstimate | undefined {
  if (points.length === 0) return undefined;
  // Farthest first: the near points then correct what the far ones got wrong.
  const order = [...points].sort((p, q) => Math.abs(q.y) - Math.abs(p.y));
  const origin = (order.at(-1) as LogPoint).x;
  let fit: Gaussian = independent(
    [prior ? prior.x - origin : 0, shape.inverseExponent, shape.bend],
    [prior ? prior.deviation : 50, shape.deviation, shape.deviation / 3],
  );
  for (const { x, y, noise } of order) {
    const unmodelled = cubic * Math.abs(y) ** 3;
    const rounding = shape.inverseExponent * noise;
    fit = observe(fit, [1, y, y * y], x - origin, unmodelled * unmodelled + rounding * rounding + 1e-24);
  }
  const x = (fit.mean[0] as number) + origin;
  const deviation = Math.sqrt(Math.max(0, fit.covariance[0]?.[0] as number));
  const inverseExponent = fit.mean[1] as number;
  return Number.isFinite(x) && Number.isFinite(deviation) ? { x, deviation, inverseExponent } : undefined;
}

/** Size of the term in y³ that the fit leaves out. */
const cubic = 0.05;

/** s from the two smallest learning rates, ψ taken as linear; undefined where that does not descend. */
export function extrapolatedSlope(line: Line): number | undefined {
  const [a, b] = line.points
    .filter((p) => Number.isFinite(p.loss))
    .sort((p, q) => p.learningRate - q.learningRate)
    .map((p) => ({ eta: p.learningRate, psi: (p.loss - line.baseLoss) / p.learningRate }));
  if (!a || !b || a.eta === b.eta) return undefined;
  const s = ((b.psi - a.psi) / (b.eta - a.eta)) * a.eta - a.psi;
  return s > 0 ? s : undefined;
}
