import { drawChart } from "../chart.js";
import type { Figure } from "../figure.js";
import { prose } from "../numbers.js";
import { scale, spansDecades } from "../scales.js";
import { line, stepAxis } from "../series.js";
import type { Point } from "../statistics.js";
import { colors } from "../style.js";

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
