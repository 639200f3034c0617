import * as Plot from "@observablehq/plot";
import type { Point } from "../../statistics.js";
import { drawChart, type LegendItem } from "../chart.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line } from "../series.js";
import { colors, type Figure, sizes } from "../style.js";
import { below, ceiling } from "./relative-loss.js";

/** The loss of a batch along the Δ of its own gradient. */
export interface StepLine {
  name: string;
  /** L(θ − ηΔ)/L(θ) over ascending η > 0; NaN where it was not finite. */
  points: readonly Point[];
  /** ηc; NaN where there is none to be marked. */
  critical: number;
}

export interface AskedStepData {
  lines: readonly StepLine[];
  /** The η that is asked about. */
  learningRate: number;
  /** The lowest and the highest that ηc may be over the lines; NaN where none crosses. */
  lower: number;
  upper: number;
  subtitle: string;
}

const title = "What a step does to the loss";

/** How the losses of several batches change over the size of a step, with one size marked and the range of ηc shaded. */
export function askedStepFigure({ lines, learningRate, lower, upper, subtitle }: AskedStepData): Figure {
  const percent = lines.map(({ points }) => points.map(({ x, y }) => ({ x, y: 100 * (y - 1), error: NaN })));
  const top = ceiling(percent.flat(), 0.1);
  const xs = [...percent.flat().map(({ x }) => x), learningRate, lower, upper].filter((x) => x > 0);
  const vertical = scale([...percent.flat().map(({ y }) => Math.min(y, top)), 0], { log: false, count: 8 });
  const highest = vertical.domain[1];
  const hasRange = lower > 0 && upper > lower;
  const chart = {
    title,
    subtitle,
    legend: legendItems(hasRange),
    x: { ...scale(xs, { log: true, tight: true, count: 7 }), label: "learning rate η along Δ" },
    y: { ...vertical, label: "change of the batch's loss, %" },
    marks: [
      hasRange &&
        Plot.rect([0], {
          ...{ x1: lower, x2: upper, y1: vertical.domain[0], y2: highest },
          ...{ fill: colors.vermillion, fillOpacity: 0.12, className: "critical-range" },
        }),
      Plot.ruleY([0], { stroke: colors.muted, strokeWidth: 1.2 }),
      ...percent.flatMap((points) =>
        line(below(points, highest), {
          color: colors.blue,
          opacity: 0.75,
          className: "step-loss",
          dots: true,
        }),
      ),
      Plot.dot(
        lines.filter(({ critical }) => critical > 0).map(({ critical }) => ({ x: critical, y: 0 })),
        {
          ...{ x: "x", y: "y", r: 5, fill: colors.background, stroke: colors.blue },
          ...{ strokeWidth: sizes.line, className: "critical" },
          title: ({ x }: Point) => `ηc ${prose(x)}`,
        },
      ),
      Plot.ruleX([learningRate], {
        ...{ stroke: colors.ink, strokeWidth: sizes.line, strokeDasharray: "5 4", className: "asked" },
        title: () => `η ${prose(learningRate)}`,
      }),
    ],
  };
  return {
    name: "step",
    title,
    caption:
      "The loss of each batch, as a part of where it began, over the size η of a step along the Δ that its own gradient makes. It rises above " +
      "where it began from ηc on; the dashed line is the η that was asked about.",
    draw: (size) => drawChart(chart, size),
    table: {
      columns: ["batch", "η", "change of its loss"],
      rows: lines.flatMap(({ name, points }) =>
        points.map(({ x, y }) => [name, prose(x), `${prose(100 * (y - 1))} %`]),
      ),
    },
  };
}

function legendItems(hasRange: boolean): LegendItem[] {
  return [
    { glyph: "line", color: colors.blue, text: "a batch each" },
    { glyph: "ring", color: colors.blue, text: "ηc" },
    ...(hasRange
      ? [{ glyph: "area" as const, color: colors.vermillion, opacity: 0.12, text: "range of ηc" }]
      : []),
    { glyph: "dashed", color: colors.ink, text: "η that was asked about" },
  ];
}
