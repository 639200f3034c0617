import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import type { Figure } from "../figure.js";
import type { LegendItem } from "../legend.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { mean, type Point, running, windowFor } from "../statistics.js";
import { colors, sizes } from "../style.js";
import { thin } from "../thin.js";

export interface LossData {
  /** Loss over steps; NaN where it was not finite. */
  training: readonly Point[];
  validation: readonly Point[];
  /** What the loss is, with its unit. */
  label: string;
}

/** Training and validation loss over steps. */
export function lossFigure({ training, validation, label }: LossData): Figure {
  const window = windowFor(training.length);
  const smooth = window > 1 ? running(training, window, mean) : [];
  const legend: LegendItem[] = smooth.length
    ? [
        { glyph: "line", color: colors.blue, opacity: 0.35, text: "training, each step's batch" },
        { glyph: "line", color: colors.blue, text: `training, mean over ${window} steps` },
      ]
    : [{ glyph: "line", color: colors.blue, text: "training, each step's batch" }];
  if (validation.length) legend.push({ glyph: "line-dots", color: colors.vermillion, text: "validation" });
  return {
    name: "loss",
    title: "Loss over training",
    caption:
      "The loss of each step's batch before its update" +
      (smooth.length ? ` (light) and its running mean over ${window} steps (dark)` : "") +
      (validation.length ? "; points are the loss on held-out data." : "."),
    draw: (size) =>
      drawChart(
        {
          title: "Loss over training",
          subtitle: subtitle(training, validation),
          legend,
          x: {
            ...scale(
              training.map(({ x }) => x),
              { whole: true, count: 8, log: false },
            ),
            label: "step",
          },
          y: { ...scale([...training, ...validation].map(({ y }) => y)), label },
          marks: [
            Plot.line(thin(training), {
              x: "x",
              y: "y",
              stroke: colors.blue,
              strokeOpacity: smooth.length ? 0.35 : 1,
              strokeWidth: smooth.length ? 1 : sizes.line,
              className: "training",
            }),
            Plot.line(thin(smooth), { x: "x", y: "y", stroke: colors.blue, strokeWidth: sizes.line }),
            Plot.line(validation, { x: "x", y: "y", stroke: colors.vermillion, strokeWidth: 1.5 }),
            Plot.dot(validation, {
              x: "x",
              y: "y",
              fill: colors.vermillion,
              stroke: "white",
              r: 4,
              className: "validation",
            }),
          ],
        },
        size,
      ),
  };
}

function subtitle(training: readonly Point[], validation: readonly Point[]): string {
  const part = (name: string, points: readonly Point[]) =>
    points.length ? [`${name} ${prose(points[0]?.y)} → ${prose(points.at(-1)?.y)}`] : [];
  return [...part("training", training), ...part("validation", validation)].join("  ·  ");
}
