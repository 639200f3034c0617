import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import { counted, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { colors, type Figure } from "../style.js";

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
  const peak = Math.max(...density);
  const points = grid.map((x, i) => ({ x, y: Math.max(density[i] as number, floor * peak) }));
  const title = "Density of the Hessian's eigenvalues";
  const [lowest, highest] = [grid[0] as number, grid.at(-1) as number];
  const chart = {
    title,
    subtitle: `from ${prose(lowest)} to ${prose(highest)}  ·  λmax ${prose(eigenvalues[0])}`,
    legend: [
      { glyph: "area", color: colors.sky, text: "density" },
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
