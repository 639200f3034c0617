import * as Plot from "@observablehq/plot";
import type { Point } from "../../statistics.js";
import type { LegendItem, Mark } from "../chart.js";
import { integerText } from "../numbers.js";
import { colors } from "../style.js";

/** What the scale keeps free at an edge that has marks. */
export const edgeRoom = 26;

/** So many marks overlap. */
const crowd = 150;
/** More than these stand where a reader sees no two apart: neighbours are one mark, which tells how many it is. */
const mostMarks = 300;

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
    strip("bottom"),
    Plot.dot(gathered(xs, title), {
      x: "x",
      frameAnchor: "bottom",
      dy: -edgeRoom / 2,
      r: 4,
      fill: colors.background,
      stroke: color,
      strokeWidth: 1.5,
      ...(xs.length > crowd ? { strokeOpacity: 0.5 } : {}),
      title: "title",
      className: "unresolved",
    }),
  ];
}

export function unresolvedLegend(count: number, color: string = colors.blue): LegendItem[] {
  return count === 0 ? [] : [{ glyph: "ring", color, text: `unresolved (${integerText(count)})` }];
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
  const middle = ((edge === "top" ? 1 : -1) * edgeRoom) / 2;
  return [
    strip(edge),
    Plot.text([label], {
      frameAnchor: `${edge}-left`,
      dx: -9,
      dy: middle,
      textAnchor: "end",
      lineAnchor: "middle",
    }),
    Plot.dot(gathered(xs, title), {
      x: "x",
      frameAnchor: edge,
      dy: middle,
      symbol: "triangle",
      rotate: edge === "top" ? 0 : 180,
      r: 4,
      fill: color,
      // Where they overlap, an outline would hide most of each.
      ...(xs.length > crowd ? { fillOpacity: 0.4 } : { stroke: colors.background, strokeWidth: 0.6 }),
      title: "title",
      className,
    }),
  ];
}

/** The border of the strip at an edge. */
function strip(edge: "top" | "bottom"): Mark {
  return Plot.frame({
    anchor: edge,
    insetTop: edge === "top" ? edgeRoom : 0,
    insetBottom: edge === "bottom" ? edgeRoom : 0,
    stroke: colors.frame,
    strokeDasharray: "2 3",
  });
}

/** A mark for each place, or for all within a few pixels. */
function gathered(xs: readonly number[], title: (x: number) => string): { x: number; title: string }[] {
  if (xs.length <= mostMarks) return xs.map((x) => ({ x, title: title(x) }));
  const sorted = Float64Array.from(xs).sort();
  const [first, last] = [sorted[0] as number, sorted[sorted.length - 1] as number];
  const groups = new Map<number, { from: number; to: number; count: number }>();
  for (const x of sorted) {
    const place = Math.floor(((x - first) / (last - first || 1)) * (mostMarks - 1));
    const group = groups.get(place);
    if (group) [group.to, group.count] = [x, group.count + 1];
    else groups.set(place, { from: x, to: x, count: 1 });
  }
  return [...groups.values()].map(({ from, to, count }) => ({
    x: (from + to) / 2,
    title: count === 1 ? title(from) : `${title(from)}, and ${integerText(count - 1)} more up to ${to}`,
  }));
}

/** From `low` to `high`; an end that is not finite, or not on the axis, lies beyond it. */
export interface ErrorBar {
  x: number;
  low: number;
  high: number;
}

export interface ErrorBarOptions {
  color: string;
  className: string;
  /** What the vertical axis shows. */
  domain: readonly [number, number];
}

/** Whether a bar of these has an end beyond the axis. */
export function hasArrow(bars: readonly ErrorBar[], [bottom, top]: readonly [number, number]): boolean {
  return bars.some((bar) => isSeen(bar, [bottom, top]) && !(bar.low >= bottom && bar.high <= top));
}

const isSeen = ({ low, high }: ErrorBar, [bottom, top]: readonly [number, number]) =>
  !(low >= high) && !(low > top) && !(high < bottom);

/** Vertical bars with caps, which never leave the frame: an end that lies beyond is an arrow at its border. */
export function errorBars(bars: readonly ErrorBar[], { color, className, domain }: ErrorBarOptions): Mark[] {
  const [bottom, top] = domain;
  const seen = bars.filter((bar) => isSeen(bar, domain));
  const beyond = { low: (y: number) => !(y >= bottom), high: (y: number) => !(y <= top) };
  const within = seen.map(({ x, low, high }) => ({
    x,
    low: beyond.low(low) ? bottom : low,
    high: beyond.high(high) ? top : high,
  }));
  const ends = (end: "low" | "high", isBeyond: boolean) => {
    const shown = within.filter((_, i) => beyond[end]((seen[i] as ErrorBar)[end]) === isBeyond);
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
    Plot.ruleX(within, {
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
