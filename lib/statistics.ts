/** Mean of independent samples and its standard error. */
export function statistics(samples: readonly number[]): { mean: number; standardError: number } {
  const n = samples.length;
  const mean = samples.reduce((a, b) => a + b, 0) / n;
  const squares = samples.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, standardError: Math.sqrt(squares / (n - 1) / n) };
}

/** The 97.5 % quantile of Student's t (Abramowitz & Stegun 26.7.5), within 1e-3 from 4 degrees of freedom on. */
export function studentQuantile(freedom: number): number {
  const z = 1.959963984540054;
  const series = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160,
  ];
  return series.reduce((sum, term, i) => sum + term / freedom ** (i + 1), z);
}

/** JSON has no other numbers. */
export function finiteOrNull(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}

/** The middle value, or the mean of both middle ones; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** Linear between the values beside it; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)] ?? NaN, sorted[Math.ceil(at)] ?? NaN];
  return low + (high - low) * (at - Math.floor(at));
}

/** NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A point of a series; `y` is NaN where there is no value. */
export interface Point {
  x: number;
  y: number;
}

/** y of the point at x, of points with ascending x; NaN where there is none. */
export function valueAt(points: readonly Point[], x: number): number {
  let [low, high] = [0, points.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const point = points[middle] as Point;
    if (point.x === x) return point.y;
    if (point.x < x) low = middle + 1;
    else high = middle - 1;
  }
  return NaN;
}

/** So many points are too many to see a trend among them. */
export const manyPoints = 150;

/** An odd number of neighbours, about a thirtieth of all, over which a series is smoothed. */
export function windowFor(count: number): number {
  return 2 * Math.min(500, Math.max(2, Math.round(count / 60))) + 1;
}

/** More points than a smooth line needs. */
const smoothPoints = 800;

/**
 * The series smoothed over `window` points around each one, or around every n-th of very many. Towards the ends the window shrinks evenly on both sides, so
 * that a rising or falling series keeps its ends. Values that are not finite are left out.
 *
 * @param statistic of the values in a window, given how far each is from the middle, as a part of the window's reach
 */
export function running(
  points: readonly Point[],
  window: number,
  statistic: (values: readonly number[], distances: readonly number[]) => number,
): Point[] {
  const half = window >> 1;
  const stride = Math.ceil(points.length / smoothPoints);
  const smooth: Point[] = [];
  for (let k = 0; ; k += stride) {
    const i = Math.min(k, points.length - 1);
    const { x } = points[i] as Point;
    const reach = Math.min(half, i, points.length - 1 - i);
    const values: number[] = [];
    const distances: number[] = [];
    for (let j = i - reach; j <= i + reach; j++) {
      const { y } = points[j] as Point;
      if (!Number.isFinite(y)) continue;
      values.push(y);
      distances.push(Math.abs(j - i) / (reach + 1));
    }
    smooth.push({ x, y: statistic(values, distances) });
    if (i === points.length - 1) return smooth;
  }
}

/** A mean that counts near values more (Epanechnikov's kernel): without the steps that a plain running mean makes. */
export function kernelMean(values: readonly number[], distances: readonly number[]): number {
  let [sum, weights] = [0, 0];
  values.forEach((value, i) => {
    const weight = 1 - (distances[i] as number) ** 2;
    sum += weight * value;
    weights += weight;
  });
  return sum / weights;
}
