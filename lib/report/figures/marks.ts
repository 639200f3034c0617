import * as Plot from "@observablehq/plot";
import type { LegendItem, Mark } from "../chart.js";
import { integerText } from "../numbers.js";
import type { Point } from "../statistics.js";
import { colors } from "../style.js";

/** What the scale keeps free at an edge that has marks. */
export const edgeRoom = 26;

const crowd = 150;

export interface EdgeOptions {
  edge: "top" | "bottom";
  /** Where other values have their tick's number: "∞", "0". */
  label: string;
  color: string;
  title: (x: number) => string;
  className: string;
}

/** Losses that are not finite, on the upper edge. */
export function notFiniteMarks(points: readonly Point[]): Mark[] {
  return edgeMarks(notFinite(points), {
    edge: "top",
    label: "∞",
    color: colors.purple,
    title: (x) => `${x}: not finite`,
    className: "not-finite",
  });
}

export function notFiniteLegend(points: readonly Point[]): LegendItem[] {
  const { length } = notFinite(points);
  if (length === 0) return [];
  return [{ glyph: "triangle-up", color: colors.purple, text: `not finite (${integerText(length)})` }];
}

/** Where a series has no finite value. */
export function notFinite(points: readonly Point[]): number[] {
  return points.filter(({ y }) => !Number.isFinite(y)).map(({ x }) => x);
}

/** Values that could not be told from noise: rings in the strip at the lower edge, where there is no number. */
export function unresolvedMarks(
  xs: readonly number[],
  { color, title }: Pick<EdgeOptions, "color" | "title">,
): Mark[] {
  if (xs.length === 0) return [];
  return [
    Plot.dot([...xs], {
      x: (x: number) => x,
      frameAnchor: "bottom",
      dy: -edgeRoom / 2,
      r: 4,
      fill: "white",
      stroke: color,
      strokeWidth: 1.5,
      ...(xs.length > crowd ? { strokeOpacity: 0.4 } : {}),
      title,
      className: "unresolved",
    }),
  ];
}

/**
 * Values that have no place on a log axis, as triangles on the edge of the frame that they lie beyond, in a strip of their
 * own: none is dropped.
 */
export function edgeMarks(
  xs: readonly number[],
  { edge, label, color, title, className }: EdgeOptions,
): Mark[] {
  if (xs.length === 0) return [];
  const inwards = edge === "top" ? 1 : -1;
  const middle = (inwards * edgeRoom) / 2;
  return [
    Plot.frame({
      anchor: edge,
      insetTop: edge === "top" ? edgeRoom : 0,
      insetBottom: edge === "bottom" ? edgeRoom : 0,
      stroke: colors.frame,
      strokeDasharray: "2 3",
    }),
    Plot.text([label], {
      frameAnchor: `${edge}-left`,
      dx: -9,
      dy: middle,
      textAnchor: "end",
      lineAnchor: "middle",
    }),
    Plot.dot([...xs], {
      x: (x: number) => x,
      frameAnchor: edge,
      dy: middle,
      symbol: "triangle",
      rotate: edge === "top" ? 0 : 180,
      r: 4,
      fill: color,
      // Where they overlap, an outline would hide most of each.
      ...(xs.length > crowd ? { fillOpacity: 0.4 } : { stroke: "white", strokeWidth: 0.6 }),
      title,
      className,
    }),
  ];
}

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
