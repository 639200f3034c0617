import type { Point } from "./statistics.js";

/** Above this number of points a figure has more of them than it has pixels for. */
export const mostPoints = 1600;

/**
 * A line with at most 1600 points that looks the same: of each of 800 stretches the lowest and the highest point stay.
 * A stretch without a finite value stays a gap.
 */
export function thin(points: readonly Point[]): Point[] {
  if (points.length <= mostPoints) return [...points];
  return stretches(points, mostPoints / 2).flatMap(({ low, high }) =>
    low === high ? [low] : [low, high].sort((a, b) => a.x - b.x),
  );
}

/** From the lowest to the highest value in each of so many stretches of a series: a band, for a haze of points. */
export function ranges(points: readonly Point[], count: number): { x: number; low: number; high: number }[] {
  return stretches(points, count).map(({ low, high, middle }) => ({ x: middle, low: low.y, high: high.y }));
}

function stretches(points: readonly Point[], count: number) {
  const start = (i: number) => Math.floor((i * points.length) / count);
  return Array.from({ length: count }, (_, i) => {
    const all = points.slice(start(i), start(i + 1)) as [Point, ...Point[]];
    const finite = all.filter(({ y }) => Number.isFinite(y)) as [Point, ...Point[]];
    const part = finite.length > 0 ? finite : all;
    const last = all[all.length - 1] as Point;
    return {
      low: part.reduce((a, b) => (b.y < a.y ? b : a)),
      high: part.reduce((a, b) => (b.y > a.y ? b : a)),
      middle: (all[0].x + last.x) / 2,
    };
  });
}
