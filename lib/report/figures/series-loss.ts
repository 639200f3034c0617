import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import type { Figure } from "../figure.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line } from "../series.js";
import { connected, type SeriesAxis } from "../series-axis.js";
import { colors } from "../style.js";
import { borderMark, type ErrorPoint } from "./series-sharpness.js";

/** The loss of the measured batches over checkpoints. */
export function seriesLossFigure({
  loss,
  axis,
  border,
}: {
  loss: readonly ErrorPoint[];
  axis: SeriesAxis["axis"];
  border?: SeriesAxis["border"];
}): Figure {
  const title = "Loss of the measured batches";
  const color = colors.blue;
  const chart = {
    title,
    subtitle: loss.length > 1 ? `${prose(loss[0]?.y)} → ${prose(loss.at(-1)?.y)}` : prose(loss[0]?.y),
    legend: [{ glyph: "line-dots" as const, color, text: "L(θ), mean ± one standard error" }],
    y: { ...scale(loss.flatMap(({ y, error }) => [y - (error || 0), y + (error || 0)])), label: "loss" },
    marks: [
      ...borderMark(border),
      ...line(connected(loss, border), { color, width: 1.5, opacity: 0.6, className: "loss-line" }),
      Plot.ruleX(
        loss.filter(({ error }) => error > 0),
        {
          x: "x",
          y1: ({ y, error }: ErrorPoint) => y - error,
          y2: ({ y, error }: ErrorPoint) => y + error,
          stroke: color,
          strokeWidth: 1.5,
          className: "loss-bars",
        },
      ),
      Plot.dot(loss, { x: "x", y: "y", fill: color, r: 3, className: "loss" }),
    ],
  };
  return {
    name: "loss",
    title,
    caption: "The loss of the batches on which λc was measured, the same ones at every checkpoint.",
    draw: (size) => drawChart({ ...chart, x: axis(size) }, size),
  };
}
