import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import { counted, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { mean, median } from "../statistics.js";
import { colors, type Figure, sizes } from "../style.js";

export interface ForwardPassesData {
  /** Of each measurement. */
  forwardPasses: readonly number[];
}

/** How many forward passes the measurements took. */
export function forwardPassesFigure({ forwardPasses }: ForwardPassesData): Figure {
  const title = "Forward passes per measurement";
  const bars = tally(forwardPasses);
  const [low, high] = [bars[0]?.passes ?? 0, bars.at(-1)?.passes ?? 0];
  const [middle, average] = [median(forwardPasses), mean(forwardPasses)];
  const rule = { strokeWidth: sizes.line, strokeDasharray: "5 4" };
  const chart = {
    title,
    subtitle: `${counted(forwardPasses.length, "measurement")}  ·  ${low < high ? `${low} to ${high}` : low} forward passes each`,
    legend: [
      { glyph: "dashed", color: colors.ink, text: `median ${prose(middle)}` },
      { glyph: "dashed", color: colors.vermillion, text: `mean ${prose(average)}` },
    ] as const,
    y: {
      ...scale(
        bars.map(({ count }) => count),
        { zero: true, whole: true, log: false },
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
        title: ({ passes, count }) => `${counted(passes, "forward pass", "forward passes")}: ${count}`,
        className: "measurements",
      }),
      Plot.ruleX([middle], { ...rule, stroke: colors.ink, className: "median" }),
      Plot.ruleX([average], { ...rule, stroke: colors.vermillion, className: "mean" }),
    ],
  };
  return {
    name: "forward-passes",
    title,
    caption: "What measuring costs: how many measurements took how many forward passes.",
    draw: (size) => {
      const x = scale([low, high], { whole: true, log: false, count: size.width / 25 });
      // A bar alone does not fill the frame.
      const room = Math.max(0.7, 3 - (high - low) / 2);
      const domain: [number, number] = [low - room, high + room];
      return drawChart({ ...chart, x: { ...x, domain, label: "forward passes" } }, size);
    },
  };
}

function tally(values: readonly number[]): { passes: number; count: number }[] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([passes, count]) => ({ passes, count }));
}
