import * as Plot from "@observablehq/plot";
import { manyPoints, median, type Point, running, valueAt, windowFor } from "../../statistics.js";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { counted, integerText, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line, mostPoints, ranges, stepAxis } from "../series.js";
import { colors, type Figure } from "../style.js";
import { edgeMarks, edgeRoom, unresolvedLegend, unresolvedMarks } from "./marks.js";

export interface SharpnessData {
  /** λc of the measurements that converged, over steps, and the bracket that encloses it. */
  measured: readonly (Point & { low: number; high: number })[];
  /** 2/η over steps. */
  threshold: readonly Point[];
  /** Steps whose Δ does not descend: λc = ∞. */
  nonDescent: readonly number[];
  /** Steps along whose Δ no rise of the loss was found: λc = 0. */
  unbounded: readonly number[];
  /** Steps along whose Δ the loss could not be told from its noise, or whose crossing lies below all that was tried. */
  unresolved: readonly number[];
}

/** λc against 2/η over steps. */
export function sharpnessFigure(data: SharpnessData): Figure {
  const { measured, threshold, nonDescent, unbounded, unresolved } = data;
  const title = "Critical sharpness against the stability threshold";
  const shown = [...measured, ...threshold].map(({ y }) => y);
  const brackets = measured.length > manyPoints ? [] : measured.flatMap(({ low, high }) => [low, high]);
  const chart = {
    title,
    subtitle: subtitle(data),
    legend: legendItems(data),
    insetTop: nonDescent.length > 0 ? edgeRoom : 0,
    insetBottom: unbounded.length + unresolved.length > 0 ? edgeRoom : 0,
    y: { ...scale(shown.concat(brackets), { log: true }), label: "λc and 2/η (units of 1/η)" },
    marks: [
      ...measuredMarks(data),
      ...line(threshold, { color: colors.vermillion, className: "threshold" }),
      ...outsideMarks(data),
    ],
  };
  const steps = [...threshold, ...measured].map(({ x }) => x).concat(nonDescent, unbounded, unresolved);
  return {
    name: "critical-sharpness",
    title,
    caption: caption(data),
    draw: (size) => drawChart({ ...chart, x: stepAxis(steps, size) }, size),
  };
}

/** λc = ∞, λc = 0 and λc unknown, which have no place on the axis. */
function outsideMarks({ nonDescent, unbounded, unresolved }: SharpnessData): Mark[] {
  return [
    ...unresolvedMarks(unresolved, { color: colors.blue, title: (step) => `step ${step}: unresolved` }),
    ...edgeMarks(nonDescent, {
      edge: "top",
      label: "∞",
      color: colors.purple,
      title: (step) => `step ${step}: non-descent, λc = ∞`,
      className: "non-descent",
    }),
    ...edgeMarks(unbounded, {
      edge: "bottom",
      label: "0",
      color: colors.green,
      title: (step) => `step ${step}: unbounded, λc = 0`,
      className: "unbounded",
    }),
  ];
}

function legendItems(data: SharpnessData) {
  const { threshold, nonDescent, unbounded, unresolved } = data;
  const items = measuredLegend(data);
  if (threshold.length > 0) items.push({ glyph: "line", color: colors.vermillion, text: "threshold 2/η" });
  if (nonDescent.length > 0) {
    const text = `λc = ∞: non-descent (${integerText(nonDescent.length)})`;
    items.push({ glyph: "triangle-up", color: colors.purple, text });
  }
  if (unbounded.length > 0) {
    const text = `λc = 0: unbounded (${integerText(unbounded.length)})`;
    items.push({ glyph: "triangle-down", color: colors.green, text });
  }
  return [...items, ...unresolvedLegend(unresolved.length)];
}

function subtitle({ measured, threshold, nonDescent, unbounded, unresolved }: SharpnessData): string {
  const ratios = measured.map(({ x, y }) => y / valueAt(threshold, x)).filter(Number.isFinite);
  const above = ratios.filter((ratio) => ratio > 1).length + nonDescent.length;
  const all = ratios.length + nonDescent.length + unbounded.length;
  const open = unresolved.length > 0 ? `, ${integerText(unresolved.length)} more unresolved` : "";
  const told = `above the threshold in ${integerText(above)} of ${counted(all, "measurement")}${open}`;
  return ratios.length > 0 ? `median λc ÷ (2/η) = ${prose(median(ratios))}  ·  ${told}` : told;
}

function caption({ measured, nonDescent, unbounded, unresolved }: SharpnessData): string {
  const edges = [
    ...(nonDescent.length > 0 ? ["on the upper edge, updates that do not descend (λc = ∞)"] : []),
    ...(unbounded.length > 0 ? ["on the lower edge, updates along which no rise was found (λc = 0)"] : []),
  ];
  return [
    "λc = 2/ηc along each update.",
    "Where it is below 2/η, the step is shorter than ηc and lowers the loss of its own batch; where it is above, the step overshoots.",
    ...(measured.length > mostPoints ? ["The band holds all measurements."] : []),
    ...(edges.length > 0 ? [`Triangles: ${edges.join("; ")}.`] : []),
    ...(unresolved.length > 0
      ? [
          "Rings: unresolved, the loss along the update could not be told from its rounding noise, or rises below all that was tried.",
        ]
      : []),
  ].join(" ");
}

const color = colors.blue;

/** λc: few measurements as points with their brackets, many as points with a median, very many as a band with it. */
function measuredMarks(data: SharpnessData): Mark[] {
  const { measured } = data;
  if (measured.length <= manyPoints) return fewMarks(data);
  const haze = measured.length <= mostPoints ? points(data, { r: 2, opacity: 0.35 }) : band(measured);
  const trend = running(measured, windowFor(measured.length), median);
  return [haze, ...line(trend, { color, className: "running-median" })];
}

function measuredLegend({ measured: { length } }: SharpnessData): LegendItem[] {
  const text = "λc = 2/ηc";
  if (length === 0) return [];
  if (length <= manyPoints) return [{ glyph: "line-dots", color, text }];
  const glyph = length <= mostPoints ? "dots" : "area";
  return [
    { glyph, color, opacity: glyph === "dots" ? 0.6 : 0.25, text },
    { glyph: "line", color, text: `median of ${windowFor(length)} neighbours` },
  ];
}

function fewMarks(data: SharpnessData): Mark[] {
  const { measured, nonDescent, unbounded, unresolved } = data;
  // The line is broken where λc is infinite, 0 or not known.
  const gaps = [...nonDescent, ...unbounded, ...unresolved].map((x) => ({ x, y: NaN }));
  const broken = [...measured, ...gaps].sort((a, b) => a.x - b.x);
  return [
    Plot.ruleX(
      measured.filter(({ low, high }) => low > 0 && Number.isFinite(high)),
      {
        x: "x",
        y1: "low",
        y2: "high",
        stroke: color,
        strokeOpacity: 0.35,
        strokeWidth: 3,
        className: "bracket",
      },
    ),
    ...line(broken, { color, width: 1, opacity: 0.6, className: "measured-line" }),
    points(data, { r: 2.5, opacity: 1 }),
  ];
}

function points(
  { measured, threshold }: SharpnessData,
  { r, opacity }: { r: number; opacity: number },
): Mark {
  return Plot.dot(measured, {
    x: "x",
    y: "y",
    r,
    fill: color,
    fillOpacity: opacity,
    title: ({ x, y }: Point) => `step ${x}: λc = ${prose(y)}, 2/η = ${prose(valueAt(threshold, x))}`,
    className: "measured",
  });
}

function band(measured: readonly Point[]): Mark {
  return Plot.areaY(ranges(measured, 400), {
    x: "x",
    y1: "low",
    y2: "high",
    fill: color,
    fillOpacity: 0.25,
    className: "measured-range",
  });
}
