import type { Line } from "./line.js";
import type { CheckedOptions, LineShape } from "./search-options.js";

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
export const unknownShape: LineShape = {
  inverseExponent: 1,
  bend: 0,
  deviation: 0.3,
  bendDeviation: 0.3,
};

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
 * at once, two give a, three b. A term in y³, of which it leaves out a part, is taken to be a sixth of b's deviation.
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
    [prior ? prior.deviation : 50, shape.deviation, shape.bendDeviation],
  );
  for (const { x, y, noise } of order) {
    const unmodelled = (shape.bendDeviation / 6) * Math.abs(y) ** 3;
    const rounding = shape.inverseExponent * noise;
    fit = observe(fit, [1, y, y * y], x - origin, unmodelled * unmodelled + rounding * rounding + 1e-24);
  }
  const x = (fit.mean[0] as number) + origin;
  const deviation = Math.sqrt(Math.max(0, fit.covariance[0]?.[0] as number));
  const inverseExponent = fit.mean[1] as number;
  return Number.isFinite(x) && Number.isFinite(deviation) ? { x, deviation, inverseExponent } : undefined;
}

/** Where the crossing of a line is, of which its points, its slope and a forecast are known. Undefined where they do not say. */
export function expectedCrossing(
  { points, baseLoss, noise }: Pick<Line, "points" | "baseLoss" | "noise">,
  known: { slope: number } & Pick<CheckedOptions, "shape" | "initialLearningRate" | "initialError">,
): FittedEstimate | undefined {
  const { slope, shape, initialLearningRate, initialError } = known;
  // Forecasts fail now and then by far more than usual, points do not: from the second on they decide.
  const doubt = points.length < 2 ? 2 : 10;
  const forecast = { x: Math.log(initialLearningRate), deviation: initialError * doubt };
  return estimate(logPoints(points, baseLoss, slope, noise), forecast, shape);
}

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

/** A normal distribution over a few unknowns. */
export interface Gaussian {
  mean: number[];
  /** Row by row; symmetric. */
  covariance: number[][];
}

/** Independent unknowns with the given means and standard deviations. */
export function independent(mean: readonly number[], deviations: readonly number[]): Gaussian {
  return {
    mean: [...mean],
    covariance: deviations.map((d, i) => deviations.map((_, j) => (i === j ? d * d : 0))),
  };
}

/** Expected value and variance of the linear form h·unknowns. */
export function project(g: Gaussian, h: readonly number[]): { mean: number; variance: number } {
  let mean = 0;
  let variance = 0;
  for (let i = 0; i < h.length; i++) {
    mean += at(h, i) * at(g.mean, i);
    for (let j = 0; j < h.length; j++) variance += at(h, i) * at(h, j) * entry(g, i, j);
  }
  return { mean, variance: Math.max(0, variance) };
}

/** The distribution after h·unknowns was observed as `value`, with a normal error of variance `noise` > 0 (Kalman's update). */
export function observe(g: Gaussian, h: readonly number[], value: number, noise: number): Gaussian {
  const { mean, variance } = project(g, h);
  const gain = h.map((_, i) => h.reduce((sum, hj, j) => sum + entry(g, i, j) * hj, 0));
  const total = variance + noise;
  return {
    mean: g.mean.map((m, i) => m + (at(gain, i) / total) * (value - mean)),
    covariance: g.covariance.map((row, i) => row.map((c, j) => c - (at(gain, i) * at(gain, j)) / total)),
  };
}

/** Widens every deviation by a factor, up to a limit on each variance: what was learned long ago counts for less. */
export function forget(g: Gaussian, factor: number, limits: readonly number[]): Gaussian {
  const scale = g.covariance.map((row, i) =>
    Math.max(1, Math.min(factor, Math.sqrt(at(limits, i) / Math.max(at(row, i), 1e-300)))),
  );
  return {
    mean: [...g.mean],
    covariance: g.covariance.map((row, i) =>
      // The product of both first: the matrix stays symmetric to the last bit. What is not grows by the factor every time.
      row.map((c, j) => c * (at(scale, i) * at(scale, j))),
    ),
  };
}

function at(values: readonly number[], i: number): number {
  return values[i] as number;
}

function entry(g: Gaussian, i: number, j: number): number {
  return at(g.covariance[i] as number[], j);
}
