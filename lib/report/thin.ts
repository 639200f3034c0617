import type { Point } from "./statistics.js";

/** More points than a figure has pixels for. */
const most = 1600;

/**
 * A series with fewer points that looks the same: of each of `most`/2 stretches the lowest and the highest point stay.
 */
export function thin(points: readonly Point[]): Point[] {
  if (points.length <= most) return [...points];
  const stretch = (2 * points.length) / most;
  const kept: Point[] = [];
  for (let start = 0; start < points.length; start += stretch) {
    const all = points.slice(Math.round(start), Math.round(start + stretch));
    const finite = all.filter(({ y }) => Number.isFinite(y));
    // Nothing but gaps stays a gap.
    const part = (finite.length > 0 ? finite : all) as [Point, ...Point[]];
    const low = part.reduce((a, b) => (b.y < a.y ? b : a));
    const high = part.reduce((a, b) => (b.y > a.y ? b : a));
    kept.push(...new Set([low, high].sort((a, b) => a.x - b.x)));
  }
  return kept;
}
