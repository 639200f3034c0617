import * as Plot from "@observablehq/plot";
import type { Axis, Mark } from "./chart.js";
import { scale } from "./scales.js";
import type { Point } from "./statistics.js";
import { type Size, sizes } from "./style.js";
import { thin } from "./thin.js";

/** So few points are shown one by one. */
const fewPoints = 40;

export interface LineOptions {
  color: string;
  /** Of its element, for whoever looks for it. */
  className: string;
  width?: number;
  opacity?: number;
  /** Whether few points are marked; a point alone is in any case, or it would not be seen. */
  dots?: boolean;
}

/** A series as a line, broken where there is no value. */
export function line(points: readonly Point[], options: LineOptions): Mark[] {
  const { color, className, width = sizes.line, opacity = 1, dots = false } = options;
  const marked = points.length === 1 || (dots && points.length <= fewPoints);
  const at = { x: "x", y: "y" };
  return [
    Plot.line(thin(points), { ...at, stroke: color, strokeWidth: width, strokeOpacity: opacity, className }),
    // No marker of the line's: that would need an id, and a page has many figures.
    marked && Plot.dot(points, { ...at, fill: color, r: 3, className: `${className}-points` }),
  ];
}

/** The axis of a series over steps. */
export function stepAxis(steps: readonly number[], { width }: Size): Axis {
  const count = width > 600 ? 10 : 6;
  return { ...scale(steps, { whole: true, tight: true, log: false, count }), label: "step" };
}
