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
    const part = points.slice(Math.round(start), Math.round(start + stretch));
    const low = part.reduce((a, b) => (b.y < a.y ? b : a), part[0] as Point);
    const high = part.reduce((a, b) => (b.y > a.y ? b : a), part[0] as Point);
    kept.push(...new Set([low, high].sort((a, b) => a.x - b.x)));
  }
  return kept;
}
