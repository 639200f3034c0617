import { median, type Point, quantile } from "./statistics.js";

/** An eigenvalue, and how far off it may be: λ ± ‖Au − λu‖. */
export interface EigenvaluePoint extends Point {
  low: number;
  high: number;
  converged: boolean;
}

export interface CurvatureData {
  /** What the largest eigenvalue is of: "λmax(H)", "λmax(P⁻¹H)". */
  name: string;
  largest: readonly EigenvaluePoint[];
  /** What it is compared with, at the same steps. */
  threshold: readonly Point[];
  thresholdName: string;
  /** λdir, which may be negative. */
  directional: readonly Point[];
  /** λc of the measurements that converged. */
  critical: readonly Point[];
  /** 2/η, which λdir and λc are compared with, at every step. */
  stepThreshold: readonly Point[];
}

/** The same, each over what it is compared with. */
export function overThresholds({
  largest,
  threshold,
  directional,
  critical,
  stepThreshold,
}: CurvatureData): Pick<CurvatureData, "largest" | "directional" | "critical"> {
  const steps = new Map(stepThreshold.map(({ x, y }) => [x, y]));
  const own = new Map(threshold.map(({ x, y }) => [x, y]));
  const over = (points: readonly Point[]) => points.map(({ x, y }) => ({ x, y: y / (steps.get(x) ?? NaN) }));
  return {
    largest: largest.map((point) => {
      const by = own.get(point.x) ?? NaN;
      return { ...point, y: point.y / by, low: point.low / by, high: point.high / by };
    }),
    directional: over(directional),
    critical: over(critical),
  };
}

/** Of values over their threshold. */
export interface Spread {
  median: number;
  /** Quartiles. */
  low: number;
  high: number;
  count: number;
}

export interface EdgeOfStability {
  /** The first and the last step at which the largest eigenvalue was at its threshold or above; null: at none. */
  from: number | null;
  to: number | null;
  /** The largest value that it had over its threshold. */
  most: number;
  /** λmax, λdir and λc over their thresholds between these steps, or in the last quarter of a run that never got there. */
  largest: Spread | null;
  directional: Spread | null;
  critical: Spread | null;
}

/** Where the sharpness of a run sits relative to the edge of stability, from when it has reached it until it leaves it. */
export function edgeOfStability(data: CurvatureData): EdgeOfStability {
  const { largest, directional, critical } = overThresholds(data);
  const at = largest.filter(({ y }) => y >= 1).map(({ x }) => x);
  const [from, to] = [at[0] ?? null, at.at(-1) ?? null];
  const end = Math.max(...largest.map(({ x }) => x), ...critical.map(({ x }) => x));
  const within = (x: number) => (from === null ? x > 0.75 * end : x >= from && x <= (to as number));
  const spread = (points: readonly Point[]): Spread | null => {
    const values = points.filter(({ x, y }) => within(x) && Number.isFinite(y)).map(({ y }) => y);
    if (values.length === 0) return null;
    const [low, high] = [quantile(values, 0.25), quantile(values, 0.75)];
    return { median: median(values), low, high, count: values.length };
  };
  return {
    from,
    to,
    most: Math.max(...largest.map(({ y }) => y).filter(Number.isFinite)),
    largest: spread(largest),
    directional: spread(directional),
    critical: spread(critical),
  };
}
