import * as Plot from "@observablehq/plot";
import { drawChart, type Mark } from "../chart.js";
import type { Figure } from "../figure.js";
import type { LegendItem } from "../legend.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line, stepAxis } from "../series.js";
import { kernelMean, manyPoints, type Point, running, windowFor } from "../statistics.js";
import { colors } from "../style.js";
import { edgeRoom, notFinite, notFiniteLegend, notFiniteMarks } from "./edge-marks.js";

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
    subtitle: [...ends("training", training), ...ends("validation", validation)].join("  ·  "),
    legend: legendItems(data, window),
    y: { ...scale([...training, ...validation].map(({ y }) => y)), label },
    insetTop: notFinite(training).length > 0 ? edgeRoom : 0,
    marks: [...trainingMarks(training, window), ...validationMarks(validation), ...notFiniteMarks(training)],
  };
  const steps = training.map(({ x }) => x);
  return {
    name: "loss",
    title,
    caption:
      `The loss of each step's batch before its update${window > 1 ? " (light), and smoothed (dark)" : ""}` +
      `${validation.length > 0 ? ", and the loss on held-out data (points)" : ""}.`,
    draw: (size) => drawChart({ ...chart, x: stepAxis(steps, size) }, size),
  };
}

function trainingMarks(training: readonly Point[], window: number): Mark[] {
  const color = colors.blue;
  if (window === 1) return line(training, { color, dots: true, className: "training" });
  return [
    ...line(training, { color, width: 1, opacity: 0.4, className: "training" }),
    ...line(running(training, window, kernelMean), { color, className: "training-smoothed" }),
  ];
}

function validationMarks(validation: readonly Point[]): Mark[] {
  return [
    ...line(validation, { color: colors.vermillion, width: 1.5, className: "validation-line" }),
    Plot.dot(validation, {
      x: "x",
      y: "y",
      fill: colors.vermillion,
      stroke: "white",
      r: 4,
      title: ({ x, y }: Point) => `step ${x}: validation loss ${prose(y, 5)}`,
      className: "validation",
    }),
  ];
}

function legendItems({ training, validation }: LossData, window: number): LegendItem[] {
  const opacity = window > 1 ? 0.5 : 1;
  const items: LegendItem[] = [{ glyph: "line", color: colors.blue, opacity, text: "training" }];
  if (window > 1) items.push({ glyph: "line", color: colors.blue, text: `smoothed over ${window} steps` });
  if (validation.length > 0) items.push({ glyph: "line-dots", color: colors.vermillion, text: "validation" });
  return [...items, ...notFiniteLegend(training)];
}

/** Where a series begins and where it ends. */
function ends(name: string, points: readonly Point[]): string[] {
  const [first, last] = [prose(points[0]?.y), prose(points.at(-1)?.y)];
  if (points.length === 0) return [];
  return [points.length === 1 ? `${name} ${first}` : `${name} ${first} → ${last}`];
}
