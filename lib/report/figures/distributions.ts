import * as Plot from "@observablehq/plot";
import { mean, median } from "../../statistics.js";
import { drawChart } from "../chart.js";
import { counted, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { colors, type Figure, sizes } from "../style.js";

export interface DensityData {
  /** Eigenvalues, evenly spaced. */
  grid: readonly number[];
  /** Of eigenvalues there, per unit. */
  density: readonly number[];
  /** Eigenvalues that are known by themselves. */
  eigenvalues: readonly number[];
}

/** What is below this part of the peak is not seen. */
const floor = 1e-7;

/** The density of a Hessian's eigenvalues on a logarithmic axis: most are near zero, the few that matter are far out. */
export function densityFigure({ grid, density, eigenvalues }: DensityData): Figure {
  const peak = density.reduce((most, value) => Math.max(most, value), 0);
  const points = grid.map((x, i) => ({ x, y: Math.max(density[i] as number, floor * peak) }));
  const title = "Density of the Hessian's eigenvalues";
  const [lowest, highest] = [grid[0] as number, grid.at(-1) as number];
  const chart = {
    title,
    subtitle: `from ${prose(lowest)} to ${prose(highest)}  ·  λmax ${prose(eigenvalues[0])}`,
    legend: [
      { glyph: "area", color: colors.sky, opacity: 0.5, text: "density" },
      { glyph: "line", color: colors.vermillion, text: counted(eigenvalues.length, "eigenvalue") },
    ] as const,
    x: { ...scale([...grid, ...eigenvalues], { log: false, count: 9 }), label: "eigenvalue" },
    y: {
      ...scale(
        points.map(({ y }) => y),
        { log: true },
      ),
      label: "density (per unit)",
    },
    marks: [
      Plot.areaY(points, {
        x: "x",
        y1: floor * peak,
        y2: "y",
        fill: colors.sky,
        fillOpacity: 0.35,
        className: "density",
      }),
      Plot.line(points, { x: "x", y: "y", stroke: colors.blue, strokeWidth: 1.5, className: "density-line" }),
      Plot.ruleX(eigenvalues, { stroke: colors.vermillion, strokeWidth: 1.5, className: "eigenvalues" }),
    ],
  };
  return {
    name: "density",
    title,
    caption: "How the eigenvalues of the loss's Hessian are spread, each drawn as a narrow Gaussian.",
    draw: (size) => drawChart(chart, size),
  };
}

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
      const ticks = x.ticks.filter((tick) => tick >= domain[0] && tick <= domain[1]);
      return drawChart({ ...chart, x: { ...x, domain, ticks, label: "forward passes" } }, size);
    },
  };
}

function tally(values: readonly number[]): { passes: number; count: number }[] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([passes, count]) => ({ passes, count }));
}
