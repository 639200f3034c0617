import * as Plot from "@observablehq/plot";
import { drawChart, type Mark } from "../chart.js";
import type { Figure } from "../figure.js";
import type { LegendItem } from "../legend.js";
import { counted, integerText, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { manyPoints, median, type Point, running, windowFor } from "../statistics.js";
import { colors, sizes } from "../style.js";
import { thin } from "../thin.js";
import { edgeMarks, edgeRoom } from "./edge-marks.js";

export interface SharpnessData {
  /** λc of the measurements that converged, over steps, and the bracket that encloses it. */
  measured: readonly (Point & { low: number; high: number })[];
  /** 2/η over steps. */
  threshold: readonly Point[];
  /** Steps whose Δ does not descend: λc = ∞. */
  nonDescent: readonly number[];
  /** Steps along whose Δ no rise of the loss was found: λc = 0. */
  unbounded: readonly number[];
}

/** λc against 2/η over steps. */
export function sharpnessFigure(data: SharpnessData): Figure {
  const { measured, threshold, nonDescent, unbounded } = data;
  const window = measured.length > manyPoints ? windowFor(measured.length) : 1;
  const title = "Critical sharpness against the stability threshold";
  const steps = [...threshold, ...measured].map(({ x }) => x).concat(nonDescent, unbounded);
  const values = [...measured, ...threshold].map(({ y }) => y);
  const chart = {
    title,
    subtitle: subtitle(data),
    legend: legendItems(data, window),
    insetTop: nonDescent.length > 0 ? edgeRoom : 0,
    insetBottom: unbounded.length > 0 ? edgeRoom : 0,
    y: { ...scale(values, { log: true }), label: "λc and 2/η (units of 1/η)" },
    marks: [
      ...measuredMarks(data, window),
      Plot.line(thin(threshold), {
        x: "x",
        y: "y",
        stroke: colors.vermillion,
        strokeWidth: sizes.line,
        className: "threshold",
      }),
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
    ],
  };
  return {
    name: "critical-sharpness",
    title,
    caption: caption(data),
    draw: (size) => {
      const count = size.width > 600 ? 10 : 6;
      return drawChart(
        { ...chart, x: { ...scale(steps, { whole: true, log: false, count }), label: "step" } },
        size,
      );
    },
  };
}

function measuredMarks(
  { measured, threshold, nonDescent, unbounded }: SharpnessData,
  window: number,
): Mark[] {
  // The line is broken where λc is infinite or 0.
  const gaps = [...nonDescent, ...unbounded].map((x) => ({ x, y: NaN }));
  const broken = [...measured, ...gaps].sort((a, b) => a.x - b.x);
  const at = { x: "x", y: "y", stroke: colors.blue };
  const thresholds = new Map(threshold.map(({ x, y }) => [x, y]));
  const few = window === 1;
  return [
    few &&
      Plot.ruleX(measured, {
        x: "x",
        y1: "low",
        y2: "high",
        stroke: colors.blue,
        strokeOpacity: 0.35,
        strokeWidth: 3,
        className: "bracket",
      }),
    few && Plot.line(broken, { ...at, strokeWidth: 1, strokeOpacity: 0.6, className: "measured-line" }),
    Plot.dot(thin(measured), {
      x: "x",
      y: "y",
      r: few ? 2.5 : 2,
      fill: colors.blue,
      fillOpacity: few ? 1 : 0.35,
      title: ({ x, y }: Point) => `step ${x}: λc = ${prose(y)}, 2/η = ${prose(thresholds.get(x))}`,
      className: "measured",
    }),
    !few &&
      Plot.line(running(measured, window, median), {
        ...at,
        strokeWidth: sizes.line,
        className: "running-median",
      }),
  ];
}

function legendItems(data: SharpnessData, window: number): LegendItem[] {
  const { measured, threshold, nonDescent, unbounded } = data;
  const items: LegendItem[] = [];
  if (measured.length > 0 && window === 1)
    items.push({ glyph: "line-dots", color: colors.blue, text: "λc = 2/ηc" });
  if (measured.length > 0 && window > 1)
    items.push(
      { glyph: "dots", color: colors.blue, opacity: 0.6, text: "λc = 2/ηc" },
      { glyph: "line", color: colors.blue, text: `median of ${window} neighbours` },
    );
  if (threshold.length > 0) items.push({ glyph: "line", color: colors.vermillion, text: "threshold 2/η" });
  if (nonDescent.length > 0)
    items.push({
      glyph: "triangle-up",
      color: colors.purple,
      text: `λc = ∞: non-descent (${integerText(nonDescent.length)})`,
    });
  if (unbounded.length > 0)
    items.push({
      glyph: "triangle-down",
      color: colors.green,
      text: `λc = 0: unbounded (${integerText(unbounded.length)})`,
    });
  return items;
}

function subtitle({ measured, threshold, nonDescent, unbounded }: SharpnessData): string {
  const thresholds = new Map(threshold.map(({ x, y }) => [x, y]));
  const ratios = measured.map(({ x, y }) => y / (thresholds.get(x) ?? NaN)).filter(Number.isFinite);
  const above = ratios.filter((ratio) => ratio > 1).length + nonDescent.length;
  const all = ratios.length + nonDescent.length + unbounded.length;
  const told = `above the threshold in ${integerText(above)} of ${counted(all, "measurement")}`;
  return ratios.length > 0 ? `median λc ÷ (2/η) = ${prose(median(ratios))}  ·  ${told}` : told;
}

function caption({ nonDescent, unbounded }: SharpnessData): string {
  const edges = [
    ...(nonDescent.length > 0 ? ["on the upper edge, updates that do not descend (λc = ∞)"] : []),
    ...(unbounded.length > 0 ? ["on the lower edge, updates along which no rise was found (λc = 0)"] : []),
  ];
  return (
    "λc = 2/ηc along each update. Where it is below 2/η, the step is shorter than ηc and lowers the loss of its own " +
    `batch; where it is above, the step overshoots.${edges.length > 0 ? ` Triangles: ${edges.join("; ")}.` : ""}`
  );
}
