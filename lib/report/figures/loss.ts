import * as Plot from "@observablehq/plot";
import { drawChart, type Mark } from "../chart.js";
import type { Figure } from "../figure.js";
import type { LegendItem } from "../legend.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { kernelMean, manyPoints, type Point, running, windowFor } from "../statistics.js";
import { colors, sizes } from "../style.js";
import { thin } from "../thin.js";

export interface LossData {
  /** Loss over steps. */
  training: readonly Point[];
  /** Loss over steps, of held-out data; may be empty. */
  validation: readonly Point[];
  /** What the loss is, with its unit. */
  label: string;
}

/** Training and validation loss over steps. */
export function lossFigure(data: LossData): Figure {
  const { training, validation, label } = data;
  const window = training.length > manyPoints ? windowFor(training.length) : 1;
  const title = "Loss over training";
  const chart = {
    title,
    subtitle: subtitle(data),
    legend: legendItems(data, window),
    y: { ...scale([...training, ...validation].map(({ y }) => y)), label },
    marks: [...trainingMarks(training, window), ...validationMarks(validation)],
  };
  const steps = training.map(({ x }) => x);
  return {
    name: "loss",
    title,
    caption:
      `The loss of each step's batch before its update${window > 1 ? " (light), and smoothed (dark)" : ""}` +
      `${validation.length > 0 ? ", and the loss on held-out data (points)" : ""}.`,
    draw: (size) =>
      drawChart(
        { ...chart, x: { ...scale(steps, { whole: true, log: false, count: 8 }), label: "step" } },
        size,
      ),
  };
}

function trainingMarks(training: readonly Point[], window: number): Mark[] {
  const line = { x: "x", y: "y", stroke: colors.blue };
  const raw =
    window > 1 ? { strokeOpacity: 0.4, strokeWidth: 1 } : { strokeWidth: sizes.line, marker: "dot" as const };
  if (training.length > 40) delete raw.marker;
  return [
    Plot.line(thin(training), { ...line, ...raw, className: "training" }),
    window > 1 &&
      Plot.line(running(training, window, kernelMean), {
        ...line,
        strokeWidth: sizes.line,
        className: "training-smoothed",
      }),
  ];
}

function validationMarks(validation: readonly Point[]): Mark[] {
  const at = { x: "x", y: "y" };
  return [
    Plot.line(validation, { ...at, stroke: colors.vermillion, strokeWidth: 1.5 }),
    Plot.dot(validation, {
      ...at,
      fill: colors.vermillion,
      stroke: "white",
      r: 4,
      title: ({ x, y }: Point) => `step ${x}: validation loss ${prose(y, 5)}`,
      className: "validation",
    }),
  ];
}

function legendItems({ validation }: LossData, window: number): LegendItem[] {
  const items: LegendItem[] = [
    { glyph: "line", color: colors.blue, opacity: window > 1 ? 0.5 : 1, text: "training" },
  ];
  if (window > 1) items.push({ glyph: "line", color: colors.blue, text: `smoothed over ${window} steps` });
  if (validation.length > 0) items.push({ glyph: "line-dots", color: colors.vermillion, text: "validation" });
  return items;
}

function subtitle({ training, validation }: LossData): string {
  const part = (name: string, points: readonly Point[]) =>
    points.length > 0 ? [`${name} ${prose(points[0]?.y)} → ${prose(points.at(-1)?.y)}`] : [];
  return [...part("training", training), ...part("validation", validation)].join("  ·  ");
}
