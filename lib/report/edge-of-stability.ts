import { median, type Point, quantile, valueAt } from "../statistics.js";

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
  /** Null: with this optimizer there is nothing that it is compared with. */
  thresholdName: string | null;
  /** λdir, which may be negative. */
  directional: readonly Point[];
  /** λc of the measurements that converged. */
  critical: readonly Point[];
  /** Steps whose λc could not be told, and those whose Δ does not descend, λc = ∞. */
  unresolved: readonly number[];
  nonDescent: readonly number[];
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
  thresholdName,
}: CurvatureData): Pick<CurvatureData, "largest" | "directional" | "critical"> {
  const over = (points: readonly Point[]) =>
    points.map(({ x, y }) => ({ x, y: y / valueAt(stepThreshold, x) }));
  return {
    largest: (thresholdName === null ? [] : largest).map((point) => {
      const by = valueAt(threshold, point.x);
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
  /** The first step at which the largest eigenvalue rose to its threshold, from below it; null: at none. */
  reached: number | null;
  /** The first and the last step of what follows: the second half of the steps at the highest learning rate. */
  from: number;
  to: number;
  /** λmax, λdir and λc over their thresholds between these steps; null where none was measured. */
  largest: Spread | null;
  directional: Spread | null;
  critical: Spread | null;
}

/** Where the sharpness of a run sits relative to the edge of stability, when it has had the time to get there. */
export function edgeOfStability(data: CurvatureData): EdgeOfStability {
  const { largest, directional, critical } = overThresholds(data);
  const rise = largest.findIndex(({ y }, i) => i > 0 && y >= 1 && (largest[i - 1] as Point).y < 1);
  const { from, to } = settled(data.stepThreshold);
  const spread = (points: readonly Point[]): Spread | null => {
    const values = points.filter(({ x, y }) => x >= from && x <= to && Number.isFinite(y)).map(({ y }) => y);
    if (values.length === 0) return null;
    const [low, high] = [quantile(values, 0.25), quantile(values, 0.75)];
    return { median: median(values), low, high, count: values.length };
  };
  return {
    reached: largest[rise]?.x ?? null,
    from,
    to,
    largest: spread(largest),
    directional: spread(directional),
    critical: spread(critical),
  };
}

/** The second half of the steps at which the learning rate is highest, 2/η lowest. */
function settled(stepThreshold: readonly Point[]): { from: number; to: number } {
  const lowest = stepThreshold.reduce((least, { y }) => Math.min(least, y), Infinity);
  const steps = stepThreshold.filter(({ y }) => y <= lowest * (1 + 1e-9)).map(({ x }) => x);
  return { from: steps[steps.length >> 1] ?? NaN, to: steps.at(-1) ?? NaN };
}
