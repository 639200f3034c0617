import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import type { Figure } from "../figure.js";
import { integerText, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { mean, median } from "../statistics.js";
import { colors } from "../style.js";

export interface ForwardPassesData {
  /** Of each measurement. */
  forwardPasses: readonly number[];
}

/** How many forward passes the measurements took. */
export function forwardPassesFigure({ forwardPasses }: ForwardPassesData): Figure {
  const title = "Forward passes of a measurement";
  const counts = new Map<number, number>();
  for (const passes of forwardPasses) counts.set(passes, (counts.get(passes) ?? 0) + 1);
  const bars = [...counts].sort(([a], [b]) => a - b).map(([passes, count]) => ({ passes, count }));
  const [low, high] = [bars[0]?.passes ?? 0, bars.at(-1)?.passes ?? 0];
  const x = scale([low, high], { whole: true, count: 12, log: false });
  return {
    name: "forward-passes",
    title,
    caption: `What a measurement costs: how many of the ${integerText(forwardPasses.length)} measurements took how many forward passes.`,
    draw: (size) =>
      drawChart(
        {
          title,
          subtitle: `median ${prose(median(forwardPasses))}  ·  mean ${prose(mean(forwardPasses))}  ·  ${integerText(forwardPasses.length)} measurements`,
          x: { ...x, domain: [low - 0.7, high + 0.7], label: "forward passes" },
          y: {
            ...scale(
              bars.map(({ count }) => count),
              { zero: true, log: false },
            ),
            label: "measurements",
          },
          marks: [
            Plot.rect(bars, {
              x1: ({ passes }) => passes - 0.4,
              x2: ({ passes }) => passes + 0.4,
              y1: 0,
              y2: "count",
              fill: colors.blue,
              className: "measurements",
            }),
          ],
        },
        size,
      ),
  };
}
