import * as Plot from "@observablehq/plot";
import type { Mark } from "../chart.js";
import type { LegendItem } from "../legend.js";
import { prose } from "../numbers.js";
import { line } from "../series.js";
import { manyPoints, median, type Point, running, windowFor } from "../statistics.js";
import { colors } from "../style.js";
import { mostPoints, ranges } from "../thin.js";
import type { SharpnessData } from "./sharpness.js";

const color = colors.blue;

/** λc: few measurements as points with their brackets, many as points with a median, very many as a band with it. */
export function measuredMarks(data: SharpnessData): Mark[] {
  const { measured } = data;
  if (measured.length <= manyPoints) return fewMarks(data);
  const haze = measured.length <= mostPoints ? points(data, { r: 2, opacity: 0.35 }) : band(measured);
  const trend = running(measured, windowFor(measured.length), median);
  return [haze, ...line(trend, { color, className: "running-median" })];
}

export function measuredLegend({ measured: { length } }: SharpnessData): LegendItem[] {
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
    Plot.ruleX(measured, {
      x: "x",
      y1: "low",
      y2: "high",
      stroke: color,
      strokeOpacity: 0.35,
      strokeWidth: 3,
      className: "bracket",
    }),
    ...line(broken, { color, width: 1, opacity: 0.6, className: "measured-line" }),
    points(data, { r: 2.5, opacity: 1 }),
  ];
}

function points(
  { measured, threshold }: SharpnessData,
  { r, opacity }: { r: number; opacity: number },
): Mark {
  const thresholds = new Map(threshold.map(({ x, y }) => [x, y]));
  return Plot.dot(measured, {
    x: "x",
    y: "y",
    r,
    fill: color,
    fillOpacity: opacity,
    title: ({ x, y }: Point) => `step ${x}: λc = ${prose(y)}, 2/η = ${prose(thresholds.get(x))}`,
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
