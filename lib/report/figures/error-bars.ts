import * as Plot from "@observablehq/plot";
import type { Mark } from "../chart.js";

/** From `low` to `high`; an end that lies beyond what the axis shows has an arrow there. */
export interface ErrorBar {
  x: number;
  low: number;
  high: number;
  isLowBeyond?: boolean;
  isHighBeyond?: boolean;
}

/** Vertical bars with caps, or arrows at ends that are beyond. */
export function errorBars(bars: readonly ErrorBar[], color: string, className: string): Mark[] {
  const ends = (end: "low" | "high", isBeyond: boolean) => {
    const shown = bars.filter(({ isLowBeyond = false, isHighBeyond = false }) =>
      end === "low" ? isLowBeyond === isBeyond : isHighBeyond === isBeyond,
    );
    const draw = isBeyond ? (end === "low" ? drawDown : drawUp) : drawCap;
    return (
      shown.length > 0 &&
      Plot.dot(shown, {
        x: "x",
        y: end,
        stroke: color,
        strokeWidth: 1.5,
        r: 4,
        symbol: { draw: draw as Plot.SymbolImplementation["draw"] },
        className: `${className}-${isBeyond ? "arrows" : "caps"}`,
      })
    );
  };
  return [
    Plot.ruleX(bars, {
      x: "x",
      y1: "low",
      y2: "high",
      stroke: color,
      strokeWidth: 1.5,
      className: `${className}-bars`,
    }),
    ends("low", false),
    ends("high", false),
    ends("low", true),
    ends("high", true),
  ];
}

type Path = Record<"moveTo" | "lineTo", (x: number, y: number) => void>;

/** A short horizontal line. */
function drawCap(context: Path): void {
  context.moveTo(-4, 0);
  context.lineTo(4, 0);
}

/** Heads of arrows whose points are where the bar ends. */
function drawDown(context: Path): void {
  drawHead(context, -6);
}

function drawUp(context: Path): void {
  drawHead(context, 6);
}

function drawHead(context: Path, height: number): void {
  context.moveTo(-4, height);
  context.lineTo(0, 0);
  context.lineTo(4, height);
}
