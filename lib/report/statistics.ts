/** The middle value, or the mean of both middle ones; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A point of a series; NaN where there is no value. */
export interface Point {
  x: number;
  y: number;
}

/**
 * Mean, or median, over the `window` points around each one; towards the ends over as many as there are on both sides,
 * so that no end is drawn towards the middle. Values that are not finite are left out.
 */
export function running(points: readonly Point[], window: number, statistic: typeof mean): Point[] {
  const half = window >> 1;
  return points.map(({ x }, i) => {
    const reach = Math.min(half, i, points.length - 1 - i);
    const values = points.slice(i - reach, i + reach + 1).map(({ y }) => y);
    return { x, y: statistic(values.filter(Number.isFinite)) };
  });
}

/** An odd window for a running mean of so many points; 1 where there are too few to need one. */
export function windowFor(count: number): number {
  return count < 60 ? 1 : 2 * Math.max(2, Math.round(count / 80)) + 1;
}
