import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import { type CurvatureData, type EdgeOfStability, overThresholds } from "../edge-of-stability.js";
import type { Figure } from "../figure.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line, stepAxis } from "../series.js";
import { colors } from "../style.js";

export interface ComparedRun {
  name: string;
  data: CurvatureData;
  edge: EdgeOfStability;
}

const hues = [colors.blue, colors.green, colors.purple, colors.sky, colors.ink, colors.muted];

/** The largest eigenvalue of several runs, each over its own threshold. */
export function edgeComparisonFigure(runs: readonly ComparedRun[]): Figure {
  const series = runs.map(({ name, data }, i) => ({
    name,
    color: hues[i % hues.length] as string,
    largest: overThresholds(data).largest,
  }));
  const shown = series.flatMap(({ largest }) => largest);
  const [first] = runs as [ComparedRun];
  const title = `${first.data.name} over its threshold`;
  const medians = runs.map(({ name, edge }) => `${name}: ${prose(edge.largest?.median)}`);
  const chart = {
    title,
    subtitle: `median of the second half of the steps at the highest η: ${medians.join("  ·  ")}`,
    legend: series.map(({ name, color }) => ({ glyph: "line" as const, color, text: name })),
    y: {
      ...scale([...shown.map(({ y }) => y), 1], { log: true }),
      label: "sharpness ÷ threshold",
    },
    marks: [
      Plot.ruleY([1], { stroke: colors.vermillion, strokeWidth: 2, className: "threshold" }),
      ...series.flatMap(({ largest, color }, i) =>
        line(largest, { color, width: 1.5, className: `largest-${i + 1}` }),
      ),
    ],
  };
  const steps = shown.map(({ x }) => x);
  return {
    name: "edge-of-stability",
    title,
    caption: `${first.data.name} of each run, divided by ${first.data.thresholdName}: 1 is the edge of stability.`,
    draw: (size) => drawChart({ ...chart, x: stepAxis(steps, size) }, size),
  };
}
