import * as Plot from "@observablehq/plot";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { prose } from "../numbers.js";
import { scale, spansDecades } from "../scales.js";
import { connected, line, type SeriesAxis, stepAxis } from "../series.js";
import { kernelMean, manyPoints, type Point, running, windowFor } from "../statistics.js";
import { colors, type Figure } from "../style.js";
import { edgeRoom, notFinite, notFiniteLegend, notFiniteMarks } from "./marks.js";
import { borderMark, type ErrorPoint } from "./sharpness-over-series.js";

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

export interface LearningRateData {
  /** η over steps. */
  learningRate: readonly Point[];
}

/** The learning rate over steps. */
export function learningRateFigure({ learningRate }: LearningRateData): Figure {
  const title = "Learning rate";
  const values = learningRate.map(({ y }) => y);
  const highest = values.reduce((most, value) => Math.max(most, value), 0);
  const log = spansDecades(withoutSmallest(values));
  const chart = {
    title,
    subtitle: `highest ${prose(highest)}  ·  last ${prose(values.at(-1))}`,
    legend: [{ glyph: "line", color: colors.vermillion, text: "η of each step" }] as const,
    y: { ...scale(values, { zero: true, log }), label: "learning rate η" },
    marks: line(learningRate, { color: colors.vermillion, className: "learning-rate" }),
  };
  const steps = learningRate.map(({ x }) => x);
  return {
    name: "learning-rate",
    title,
    caption: "The learning rate η of each update, as the schedule sets it. The threshold of λc is 2/η.",
    draw: (size) => drawChart({ ...chart, x: stepAxis(steps, size) }, size),
  };
}

/**
 * All but the smallest twentieth: a warm-up from 0 and a decay to 0 always span decades, though only in a few steps, and
 * their shape is seen on a linear axis.
 */
function withoutSmallest(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.slice(Math.ceil(sorted.length / 20));
}

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
