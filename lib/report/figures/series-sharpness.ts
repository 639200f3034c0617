import * as Plot from "@observablehq/plot";
import type { Point } from "../../statistics.js";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { counted, prose } from "../numbers.js";
import { type Scale, scale, spansDecades } from "../scales.js";
import { connected, line, type SeriesAxis } from "../series.js";
import { colors, type Figure } from "../style.js";
import { edgeMarks, edgeRoom, errorBars, hasArrow, unresolvedMarks } from "./marks.js";

/** A mean over batches, with its standard error (NaN of one batch). */
export interface ErrorPoint extends Point {
  error: number;
}

/** What a figure over a series is about: one of its members, and several. */
export interface SeriesPlace extends Pick<SeriesAxis, "axis" | "border"> {
  one: string;
  many: string;
}

export interface SeriesSharpnessData extends SeriesPlace {
  /** λc of each; y is NaN where no batch has one. */
  critical: readonly (ErrorPoint & { name: string; nonDescent: number; unresolved: number; count: number })[];
  /** λdir and λmax(P⁻¹H), where measured. */
  directional: readonly ErrorPoint[];
  preconditioned: readonly ErrorPoint[];
  /** 2/η, which λc is compared with, where η is known. */
  threshold: readonly Point[];
  /** "λmax(P⁻¹H)", or "λmax(H)". */
  preconditionedName: string;
  /** Batches of each. */
  batches: number;
  /** Whose moments made Δ: "the moments that the run had". */
  moments: string;
  /** What the comparison with 2/η comes to, in a few words. */
  verdict: string | undefined;
}

/** λc over a series, with error bars. */
export function seriesSharpnessFigure(data: SeriesSharpnessData): Figure {
  const { critical, directional, preconditioned, threshold, border, many } = data;
  const others = directional.length + preconditioned.length > 0;
  const infinite = critical.filter(isInfinite).map(({ x }) => x);
  const unresolved = critical.filter(isUnresolved).map(({ x }) => x);
  const bare = threshold.map((point) => ({ ...point, error: NaN }));
  const shown = [...critical, ...directional, ...preconditioned, ...bare];
  const values = shown.map(({ y }) => y).filter(Number.isFinite);
  // λc and 2/η are compared by their ratio.
  const isWide = threshold.length > 0 && Math.max(...values) > 10 * Math.min(...values);
  const log = isWide || spansDecades(values);
  const y = errorScale(shown, { log, zero: !log });
  const title = `Critical sharpness over ${many}`;
  const chart = {
    title,
    subtitle: subtitle(data),
    legend: legendItems(data),
    insetTop: infinite.length > 0 ? edgeRoom : 0,
    insetBottom: unresolved.length > 0 ? edgeRoom : 0,
    y: { ...y, label: axisLabel(others, threshold.length > 0) },
    marks: [
      ...borderMark(border),
      ...line(connected(threshold, border), { color: colors.frame, className: "threshold", dots: true }),
      ...series(preconditioned, { color: colors.green, className: "preconditioned", y, border }),
      ...series(directional, { color: colors.vermillion, className: "directional", y, border }),
      ...series(critical, { color: colors.blue, className: "critical", y, border }),
      Plot.dot(
        critical.filter(({ nonDescent }) => nonDescent > 0),
        { x: "x", y: "y", r: 6.5, stroke: colors.purple, strokeWidth: 1.5, className: "some-non-descent" },
      ),
      Plot.dot(
        critical.filter((point) => point.unresolved > 0),
        { x: "x", y: "y", r: 9, stroke: colors.blue, strokeWidth: 1.5, className: "some-unresolved" },
      ),
      ...unresolvedMarks(unresolved, {
        color: colors.blue,
        title: (x) => `${x}: unresolved, no batch's rise could be told from noise`,
      }),
      ...edgeMarks(infinite, {
        edge: "top",
        label: "∞",
        color: colors.purple,
        title: (x) => `${x}: no batch's Δ descends, λc = ∞`,
        className: "non-descent",
      }),
    ],
  };
  return {
    name: "critical-sharpness",
    title,
    caption: caption(data, hasArrow(shown.map(barOf), y.domain)),
    draw: (size) => drawChart({ ...chart, x: data.axis(size) }, size),
  };
}

function axisLabel(others: boolean, hasThreshold: boolean): string {
  if (others) return "sharpness (units of 1/η)";
  return hasThreshold ? "λc and 2/η (units of 1/η)" : "λc (units of 1/η)";
}

/** The loss of the measured batches over a series. */
export function seriesLossFigure({
  loss,
  axis,
  border,
  one,
}: SeriesPlace & { loss: readonly ErrorPoint[] }): Figure {
  const title = "Loss of the measured batches";
  const color = colors.blue;
  const y = errorScale(loss, {});
  const chart = {
    title,
    subtitle: loss.length > 1 ? `${prose(loss[0]?.y)} → ${prose(loss.at(-1)?.y)}` : prose(loss[0]?.y),
    legend: [{ glyph: "line-dots" as const, color, text: "L(θ), mean ± one standard error" }],
    y: { ...y, label: "loss" },
    marks: [...borderMark(border), ...series(loss, { color, className: "loss", y, border })],
  };
  return {
    name: "loss",
    title,
    caption: `The loss of the batches on which λc was measured, the same ones for each ${one}.`,
    draw: (size) => drawChart({ ...chart, x: axis(size) }, size),
  };
}

type Critical = SeriesSharpnessData["critical"][number];
const isInfinite = ({ y, unresolved }: Critical) => !Number.isFinite(y) && unresolved === 0;
const isUnresolved = ({ y, unresolved }: Critical) => !Number.isFinite(y) && unresolved > 0;

const barOf = ({ x, y, error }: ErrorPoint) => ({ x, low: y - error, high: y + error });

/** A scale with the points and their bars on it, but for ends which a log axis has no place for, or would show little else for. */
function errorScale(points: readonly ErrorPoint[], options: { log?: boolean; zero?: boolean }): Scale {
  const log = options.log ?? spansDecades(points.map(({ y }) => y).filter(Number.isFinite));
  const values = points.flatMap(({ y, error }) => {
    const low = y - (error || 0);
    return [log && low < y / 10 ? y : low, y + (error || 0)];
  });
  return scale(values.filter(Number.isFinite), { ...options, log });
}

interface SeriesOptions {
  color: string;
  className: string;
  y: Scale;
  border: number | undefined;
}

/** Of more than these, bars and points would cover one another. */
const mostBars = 500;

function series(points: readonly ErrorPoint[], { color, className, y, border }: SeriesOptions): Mark[] {
  const few = points.length <= mostBars;
  return [
    ...line(connected(points, border), { color, width: 1.5, opacity: 0.6, className: `${className}-line` }),
    ...(few
      ? errorBars(points.filter(({ error }) => error > 0).map(barOf), { color, className, domain: y.domain })
      : []),
    few &&
      Plot.dot(points, {
        x: "x",
        y: "y",
        fill: color,
        r: 3.5,
        title: ({ x, y, error }: ErrorPoint) => `${x}: ${prose(y)} ± ${prose(error)}`,
        className,
      }),
  ];
}

/** Where the scale ends, see `SeriesAxis`. */
function borderMark(border: number | undefined): Mark[] {
  if (border === undefined) return [];
  return [Plot.ruleX([border], { stroke: colors.frame, strokeDasharray: "2 3", className: "border" })];
}

function caption(
  { critical, threshold, moments, batches, border, one, many }: SeriesSharpnessData,
  hasArrows: boolean,
): string {
  return [
    `Mean of λc = 2/ηc over ${counted(batches, "batch", "batches")} of each ${one}, its weights frozen, along Δ of ${moments}; bars ` +
      "are one standard error either way.",
    threshold.length > 0
      ? "Where λc is above 2/η, the next step at the run's learning rate overshoots: the loss of its own batch rises."
      : "",
    critical.some(({ nonDescent }) => nonDescent > 0)
      ? `Rings mark ${many} where some batches' Δ does not descend: the mean leaves those out.`
      : "",
    critical.some(({ unresolved }) => unresolved > 0)
      ? "Blue rings: some batches are unresolved, their rise is no larger than rounding noise, and are left out too."
      : "",
    critical.some(isInfinite) ? "Triangles on the upper edge: no batch's Δ descends." : "",
    hasArrows ? "An arrow is a bar that goes on below what a logarithmic axis shows." : "",
    border === undefined ? "" : `Behind the dashed line: ${many} whose names have no step.`,
  ]
    .filter(Boolean)
    .join(" ");
}

function legendItems(data: SeriesSharpnessData) {
  const { directional, preconditioned, preconditionedName, critical, threshold } = data;
  const items: LegendItem[] = [{ glyph: "line-dots", color: colors.blue, text: "λc = 2/ηc" }];
  if (threshold.length > 0) items.push({ glyph: "line-dots", color: colors.frame, text: "2/η of the run" });
  if (directional.length > 0) items.push({ glyph: "line-dots", color: colors.vermillion, text: "λdir" });
  if (preconditioned.length > 0)
    items.push({ glyph: "line-dots", color: colors.green, text: preconditionedName });
  const some = critical.filter(({ nonDescent, count }) => nonDescent > 0 && count > 0).length;
  if (some > 0)
    items.push({ glyph: "ring", color: colors.purple, text: `some batches non-descent (${some})` });
  const all = critical.filter(isInfinite).length;
  if (all > 0)
    items.push({ glyph: "triangle-up", color: colors.purple, text: `λc = ∞: non-descent (${all})` });
  const open = critical.filter(({ unresolved }) => unresolved > 0).length;
  if (open > 0) items.push({ glyph: "ring", color: colors.blue, text: `batches unresolved (${open})` });
  return items;
}

/** From the first to the last, and where it was largest. */
function subtitle({ critical, verdict, one }: SeriesSharpnessData): string {
  if (verdict !== undefined) return verdict;
  const finite = critical.filter(({ y }) => Number.isFinite(y));
  const [first, last] = [finite[0], finite.at(-1)];
  if (!first || !last)
    return critical.some(isUnresolved) ? `unresolved for every ${one}` : `λc = ∞ for every ${one}`;
  const largest = finite.reduce((a, b) => (b.y > a.y ? b : a));
  const ends = first === last ? prose(first.y) : `${prose(first.y)} → ${prose(last.y)}`;
  return `λc ${ends}  ·  largest ${prose(largest.y)} at ${largest.name}`;
}
