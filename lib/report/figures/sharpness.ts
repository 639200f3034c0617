import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import type { Figure } from "../figure.js";
import type { LegendItem } from "../legend.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { median, type Point, running, windowFor } from "../statistics.js";
import { colors, sizes } from "../style.js";
import { thin } from "../thin.js";

export interface SharpnessData {
  /** λc of the measurements that converged, over steps, with the bracket that encloses it. */
  measured: readonly (Point & { low: number; high: number })[];
  /** 2/η over steps. */
  threshold: readonly Point[];
  /** Steps whose Δ does not descend: λc = ∞. */
  nonDescent: readonly number[];
  /** Steps along whose Δ no rise of the loss was found: λc = 0. */
  unbounded: readonly number[];
}

/** Above this number of measurements their brackets and points become a haze. */
const fewMeasurements = 120;

/** λc against 2/η over steps. */
export function sharpnessFigure(data: SharpnessData): Figure {
  const { measured, threshold, nonDescent, unbounded } = data;
  const window = windowFor(measured.length);
  const title = "Critical sharpness against the stability threshold";
  return {
    name: "critical-sharpness",
    title,
    caption:
      "λc = 2/ηc along each step's update. Below the line 2/η the step lowers the loss of its own batch; above it the step " +
      "is longer than ηc and raises it. Triangles on the upper edge are updates that do not descend (λc = ∞), those on the " +
      "lower edge updates along which no rise was found (λc = 0).",
    draw: (size) =>
      drawChart(
        {
          title,
          subtitle: subtitle(data),
          legend: legendItems(data, window),
          insetTop: nonDescent.length ? 18 : 0,
          insetBottom: unbounded.length ? 18 : 0,
          x: {
            ...scale([...threshold, ...measured].map(({ x }) => x).concat(nonDescent, unbounded), {
              whole: true,
              count: size.width > 600 ? 10 : 6,
              log: false,
            }),
            label: "step",
          },
          y: {
            ...scale(
              [...measured, ...threshold].map(({ y }) => y),
              { log: true },
            ),
            label: "sharpness (1/η)",
          },
          marks: [...measuredMarks(measured, window), ...thresholdMarks(threshold), ...edgeMarks(data)],
        },
        size,
      ),
  };
}

function measuredMarks(measured: SharpnessData["measured"], window: number): (Plot.Markish | false)[] {
  const few = measured.length <= fewMeasurements;
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
    window === 1 && Plot.line(measured, { x: "x", y: "y", stroke: colors.blue, strokeWidth: 1.5 }),
    Plot.dot(thin(measured), {
      x: "x",
      y: "y",
      r: few ? 2.5 : 1.8,
      fill: colors.blue,
      fillOpacity: few ? 1 : 0.4,
      className: "measured",
    }),
    window > 1 &&
      Plot.line(thin(running(measured, window, median)), {
        x: "x",
        y: "y",
        stroke: colors.blue,
        strokeWidth: sizes.line,
        className: "running-median",
      }),
  ];
}

function thresholdMarks(threshold: readonly Point[]): Plot.Markish[] {
  const line = { x: "x", y: "y", strokeWidth: sizes.line };
  return [Plot.line(thin(threshold), { ...line, stroke: colors.vermillion, className: "threshold" })];
}

/** On the edges of the frame: what has no place on the axis is there all the same. */
function edgeMarks({ nonDescent, unbounded }: SharpnessData): Plot.Markish[] {
  const mark = {
    x: (step: number) => step,
    symbol: "triangle",
    r: 4,
    stroke: "white",
    strokeWidth: 0.6,
  } as const;
  return [
    Plot.dot(nonDescent, {
      ...mark,
      frameAnchor: "top",
      dy: 9,
      fill: colors.purple,
      className: "non-descent",
    }),
    Plot.dot(unbounded, {
      ...mark,
      frameAnchor: "bottom",
      dy: -9,
      rotate: 180,
      fill: colors.green,
      className: "unbounded",
    }),
  ];
}

function legendItems({ measured, nonDescent, unbounded }: SharpnessData, window: number): LegendItem[] {
  const items: LegendItem[] = [];
  if (window === 1 && measured.length)
    items.push({ glyph: "line-dots", color: colors.blue, text: "λc = 2/ηc" });
  else if (measured.length)
    items.push(
      { glyph: "dots", color: colors.blue, opacity: 0.5, text: "λc = 2/ηc" },
      { glyph: "line", color: colors.blue, text: `its median over ${window} measurements` },
    );
  items.push({ glyph: "line", color: colors.vermillion, text: "threshold 2/η" });
  if (nonDescent.length)
    items.push({
      glyph: "triangle-up",
      color: colors.purple,
      text: `non-descent: λc = ∞ (${nonDescent.length})`,
    });
  if (unbounded.length)
    items.push({
      glyph: "triangle-down",
      color: colors.green,
      text: `unbounded: λc = 0 (${unbounded.length})`,
    });
  return items;
}

function subtitle({ measured, threshold }: SharpnessData): string {
  const at = new Map(threshold.map(({ x, y }) => [x, y]));
  const ratios = measured.map(({ x, y }) => y / (at.get(x) ?? NaN)).filter(Number.isFinite);
  if (ratios.length === 0) return "no measurement converged";
  const above = ratios.filter((ratio) => ratio > 1).length;
  return `median λc ÷ (2/η) = ${prose(median(ratios))}  ·  above the threshold in ${above} of ${ratios.length} measurements`;
}
