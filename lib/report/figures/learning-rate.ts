import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import type { Figure } from "../figure.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import type { Point } from "../statistics.js";
import { colors, sizes } from "../style.js";
import { thin } from "../thin.js";

export interface LearningRateData {
  /** η over steps. */
  learningRate: readonly Point[];
}

/** The learning rate over steps. */
export function learningRateFigure({ learningRate }: LearningRateData): Figure {
  const title = "Learning rate";
  const highest = learningRate.reduce((most, { y }) => Math.max(most, y), 0);
  return {
    name: "learning-rate",
    title,
    caption: `The learning rate η of each update, as the schedule sets it; at most ${prose(highest)}.`,
    draw: (size) =>
      drawChart(
        {
          title,
          subtitle: `highest η = ${prose(highest)}`,
          x: {
            ...scale(
              learningRate.map(({ x }) => x),
              { whole: true, count: 8, log: false },
            ),
            label: "step",
          },
          y: {
            ...scale(
              learningRate.map(({ y }) => y),
              { zero: true, log: false },
            ),
            label: "learning rate η",
          },
          marks: [
            Plot.line(thin(learningRate), {
              x: "x",
              y: "y",
              stroke: colors.vermillion,
              strokeWidth: sizes.line,
              className: "learning-rate",
            }),
          ],
        },
        size,
      ),
  };
}
