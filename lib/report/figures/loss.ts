import * as Plot from "@observablehq/plot";
import { kernelMean, manyPoints, type Point, running, windowFor } from "../../statistics.js";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { prose } from "../numbers.js";
import { scale, spansDecades } from "../scales.js";
import { line, stepAxis } from "../series.js";
import { colors, type Figure } from "../style.js";
import { edgeRoom, notFinite, notFiniteLegend, notFiniteMarks } from "./marks.js";

export interface LossData {
  /** Loss of each step's own batch. */
  batches: readonly Point[];
  /** Loss of data that no step learns from; may be empty. */
  heldOut: readonly Point[];
  /** What the loss is, with its unit. */
  label: string;
}

/** Loss over steps, of the batches and of held-out data. */
export function lossFigure(data: LossData): Figure {
  const { batches, heldOut, label } = data;
  const window = batches.length > manyPoints ? windowFor(batches.length) : 1;
  const title = "Loss over steps";
  const chart = {
    title,
    subtitle: [...ends("batches", batches), ...ends("held out", heldOut)].join("  ·  "),
    legend: legendItems(data, window),
    y: { ...scale([...batches, ...heldOut].map(({ y }) => y)), label },
    insetTop: notFinite(batches).length > 0 ? edgeRoom : 0,
    marks: [...batchMarks(batches, window), ...heldOutMarks(heldOut), ...notFiniteMarks(batches)],
  };
  const steps = batches.map(({ x }) => x);
  return {
    name: "loss",
    title,
    caption:
      `The loss of each step's batch before its update${window > 1 ? " (light), and smoothed (dark)" : ""}` +
      `${heldOut.length > 0 ? ", and the loss on held-out data (orange)" : ""}.`,
    draw: (size) => drawChart({ ...chart, x: stepAxis(steps, size) }, size),
  };
}

function batchMarks(batches: readonly Point[], window: number): Mark[] {
  const color = colors.blue;
  if (window === 1) return line(batches, { color, dots: true, className: "batches" });
  return [
    ...line(batches, { color, width: 1, opacity: 0.4, className: "batches" }),
    ...line(running(batches, window, kernelMean), { color, className: "batches-smoothed" }),
  ];
}

function heldOutMarks(heldOut: readonly Point[]): Mark[] {
  return [
    ...line(heldOut, { color: colors.vermillion, width: 1.5, className: "held-out-line" }),
    heldOut.length <= manyPoints &&
      Plot.dot(heldOut, {
        x: "x",
        y: "y",
        fill: colors.vermillion,
        stroke: colors.background,
        r: 4,
        title: ({ x, y }: Point) => `step ${x}: held-out loss ${prose(y, 5)}`,
        className: "held-out",
      }),
  ];
}

function legendItems({ batches, heldOut }: LossData, window: number): LegendItem[] {
  const opacity = window > 1 ? 0.5 : 1;
  const items: LegendItem[] = [{ glyph: "line", color: colors.blue, opacity, text: "each step's batch" }];
  if (window > 1) items.push({ glyph: "line", color: colors.blue, text: `smoothed over ${window} steps` });
  if (heldOut.length > 0) items.push({ glyph: "line-dots", color: colors.vermillion, text: "held out" });
  return [...items, ...notFiniteLegend(batches)];
}

/** Where a series begins and where it ends. */
function ends(name: string, points: readonly Point[]): string[] {
  const [first, last] = [points[0], points.at(-1)].map((point) =>
    Number.isFinite(point?.y) ? prose(point?.y) : "not finite",
  ) as [string, string];
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
  const sorted = Float64Array.from(values).sort();
  return [...sorted.subarray(Math.ceil(sorted.length / 20))];
}
