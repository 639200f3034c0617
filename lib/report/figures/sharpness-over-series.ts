import * as Plot from "@observablehq/plot";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { counted, prose } from "../numbers.js";
import { scale, spansDecades } from "../scales.js";
import { connected, line, type SeriesAxis } from "../series.js";
import type { Point } from "../statistics.js";
import { colors, type Figure } from "../style.js";
import { edgeMarks, edgeRoom, errorBars, unresolvedMarks } from "./marks.js";

/** A mean over batches, with its standard error (NaN of one batch). */
export interface ErrorPoint extends Point {
  error: number;
}

export interface SeriesSharpnessData {
  /** λc of each checkpoint; y is NaN where no batch has one. */
  critical: readonly (ErrorPoint & { name: string; nonDescent: number; unresolved: number; count: number })[];
  /** λdir and λmax(P⁻¹H), where measured. */
  directional: readonly ErrorPoint[];
  preconditioned: readonly ErrorPoint[];
  /** "λmax(P⁻¹H)", or "λmax(H)". */
  preconditionedName: string;
  /** Batches of each checkpoint. */
  batches: number;
  axis: SeriesAxis["axis"];
  border?: SeriesAxis["border"];
}

/** λc over checkpoints, with error bars. */
export function seriesSharpnessFigure(data: SeriesSharpnessData): Figure {
  const { critical, directional, preconditioned, batches, border } = data;
  const others = directional.length + preconditioned.length > 0;
  const infinite = critical.filter(isInfinite).map(({ x }) => x);
  const unresolved = critical.filter(isUnresolved).map(({ x }) => x);
  const shown = [...critical, ...directional, ...preconditioned];
  const log = spansDecades(shown.map(({ y }) => y).filter(Number.isFinite));
  const values = shown.flatMap(({ y, error }) => [lowEnd({ y, error }, log) ?? y, y + (error || 0)]);
  const yScale = scale(values.filter(Number.isFinite), { log, zero: !log });
  const frame = { log, bottom: yScale.domain[0], border };
  const title = "Critical sharpness over training";
  const chart = {
    title,
    subtitle: subtitle(data),
    legend: legendItems(data),
    insetTop: infinite.length > 0 ? edgeRoom : 0,
    insetBottom: unresolved.length > 0 ? edgeRoom : 0,
    y: {
      ...yScale,
      label: others ? "sharpness (units of 1/η)" : "λc (units of 1/η)",
    },
    marks: [
      ...borderMark(border),
      ...series(preconditioned, colors.green, "preconditioned", frame),
      ...series(directional, colors.vermillion, "directional", frame),
      ...series(critical, colors.blue, "critical", frame),
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
    caption:
      `Mean of λc = 2/ηc over ${counted(batches, "batch", "batches")} at each checkpoint, its weights frozen; bars are ` +
      "one standard error either way. " +
      (critical.some(({ nonDescent }) => nonDescent > 0)
        ? "Rings mark checkpoints where some batches' Δ does not descend: the mean leaves those out. "
        : "") +
      (critical.some((point) => point.unresolved > 0)
        ? "Blue rings: some batches are unresolved, their rise is no larger than rounding noise, and are left out too. "
        : "") +
      (infinite.length > 0 ? "Triangles on the upper edge: no batch's Δ descends. " : "") +
      (shown.some((point) => lowEnd(point, log) === undefined)
        ? "An arrow is a bar that goes on below what a logarithmic axis shows. "
        : "") +
      (border === undefined ? "" : "Behind the dashed line: checkpoints whose names have no step. "),
    draw: (size) => drawChart({ ...chart, x: data.axis(size) }, size),
  };
}

type Critical = SeriesSharpnessData["critical"][number];
const isInfinite = ({ y, unresolved }: Critical) => !Number.isFinite(y) && unresolved === 0;
const isUnresolved = ({ y, unresolved }: Critical) => !Number.isFinite(y) && unresolved > 0;

/** Where a bar ends below; undefined where a log axis has no place for it, or would have little else. */
function lowEnd({ y, error }: Pick<ErrorPoint, "y" | "error">, log: boolean): number | undefined {
  const low = y - (error || 0);
  return log && low < y / 10 ? undefined : low;
}

interface Frame {
  log: boolean;
  /** Where the vertical axis ends below. */
  bottom: number;
  border: number | undefined;
}

function series(
  points: readonly ErrorPoint[],
  color: string,
  className: string,
  { log, bottom, border }: Frame,
): Mark[] {
  const bars = points.map(({ x, y, error }) => {
    const low = lowEnd({ y, error }, log);
    return { x, low: low ?? bottom, high: y + error, isLowBeyond: low === undefined };
  });
  return [
    ...line(connected(points, border), { color, width: 1.5, opacity: 0.6, className: `${className}-line` }),
    ...errorBars(
      bars.filter(({ low, high }) => low < high),
      color,
      className,
    ),
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
export function borderMark(border: number | undefined): Mark[] {
  if (border === undefined) return [];
  return [Plot.ruleX([border], { stroke: colors.frame, strokeDasharray: "2 3", className: "border" })];
}

function legendItems({ directional, preconditioned, preconditionedName, critical }: SeriesSharpnessData) {
  const items: LegendItem[] = [{ glyph: "line-dots", color: colors.blue, text: "λc = 2/ηc" }];
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
function subtitle({ critical }: SeriesSharpnessData): string {
  const finite = critical.filter(({ y }) => Number.isFinite(y));
  const [first, last] = [finite[0], finite.at(-1)];
  if (!first || !last)
    return critical.some(isUnresolved) ? "unresolved at every checkpoint" : "λc = ∞ at every checkpoint";
  const largest = finite.reduce((a, b) => (b.y > a.y ? b : a));
  const ends = first === last ? prose(first.y) : `${prose(first.y)} → ${prose(last.y)}`;
  return `λc ${ends}  ·  largest ${prose(largest.y)} at ${largest.name}`;
}
