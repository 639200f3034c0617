import * as Plot from "@observablehq/plot";
import type { Mark } from "../chart.js";

/** Vertical bars with caps, from `low` to `high`. */
export function errorBars(
  bars: readonly { x: number; low: number; high: number }[],
  color: string,
  className: string,
): Mark[] {
  return [
    Plot.ruleX(bars, {
      x: "x",
      y1: "low",
      y2: "high",
      stroke: color,
      strokeWidth: 1.5,
      className: `${className}-bars`,
    }),
    ...["low", "high"].map((end) =>
      Plot.dot(bars, {
        x: "x",
        y: end,
        stroke: color,
        strokeWidth: 1.5,
        r: 4,
        symbol: { draw: drawCap as Plot.SymbolImplementation["draw"] },
        className: `${className}-caps`,
      }),
    ),
  ];
}

/** A short horizontal line. */
function drawCap(context: Record<"moveTo" | "lineTo", (x: number, y: number) => void>): void {
  context.moveTo(-4, 0);
  context.lineTo(4, 0);
}
