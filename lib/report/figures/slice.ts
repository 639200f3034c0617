import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { colors, type Figure } from "../style.js";

export interface SliceData {
  /** η along Δ and ξ along the second direction, evenly spaced. */
  first: readonly number[];
  second: readonly number[];
  /** L(θ − ηΔ − ξu), a row for each ξ; null where it was not finite. */
  losses: readonly (readonly (number | null)[])[];
  /** L(θ) */
  baseLoss: number;
  /** ηc; NaN where there is none. */
  critical: number;
  /** How its search ended. */
  status?: string | undefined;
  /** What the second direction is, for the axis. */
  secondName: string;
  label: string;
}

/** Shades from the lowest loss (dark) to the highest shown (light): one hue, so that it reads in grey as well. */
const shades = ["#084594", "#2171b5", "#4292c6", "#6baed6", "#9ecae1", "#c6dbef", "#deebf7", "#f7fbff"];

/** The loss on a plane through θ, and the border within which it is not above L(θ). */
export function sliceFigure(data: SliceData): Figure {
  const { first, second, losses, baseLoss, critical, status, secondName, label } = data;
  const values = losses.flat().map((loss) => loss ?? NaN);
  const lowest = values.filter(Number.isFinite).reduce((least, loss) => Math.min(least, loss), baseLoss);
  const grid = { width: first.length, height: second.length, ...frame(first, second) };
  const title = "Loss around θ";
  const marked = Number.isFinite(critical)
    ? "θ, and ηc along Δ"
    : `θ${status === "unresolved" ? " (ηc unresolved)" : ""}`;
  const chart = {
    title,
    subtitle: `lowest here ${prose(lowest, 4)}  ·  L(θ) = ${prose(baseLoss, 4)}`,
    legend: [
      { glyph: "area", color: shades[1] as string, text: `${label}: the darker the lower` },
      { glyph: "line", color: colors.vermillion, text: "L = L(θ)" },
      { glyph: "dots", color: colors.ink, text: marked },
    ] as const,
    x: { ...axis(grid.x1, grid.x2), label: "learning rate η along Δ" },
    y: { ...axis(grid.y1, grid.y2), label: `ξ along ${secondName}` },
    marks: [
      ...levels(values, lowest, baseLoss).map(({ level, color }) =>
        Plot.contour(values, { ...grid, thresholds: [level], fill: color, className: "level" }),
      ),
      // Of what is not above it: a border that leaves the picture then runs along the frame.
      Plot.contour(
        values.map((loss) => -loss),
        {
          ...grid,
          thresholds: [-baseLoss],
          stroke: colors.vermillion,
          strokeWidth: 2,
          className: "base-loss",
        },
      ),
      Plot.dot([0, ...(Number.isFinite(critical) ? [critical] : [])], {
        x: (eta: number) => eta,
        y: () => 0,
        r: 5,
        fill: colors.ink,
        stroke: colors.background,
        className: "marked",
      }),
    ],
  };
  return {
    name: "loss-slice",
    title,
    caption:
      `The loss of the batch at θ − ηΔ − ξu, where u is ${secondName}, scaled to the length of Δ. Inside the line it is not ` +
      "above L(θ); along ξ = 0 the line is crossed at the critical learning rate ηc.",
    draw: (size) => drawChart(chart, size),
  };
}

/** Areas of losses above a level, from the lowest up: spaced evenly in the square root of the height above the lowest. */
function levels(values: readonly number[], lowest: number, baseLoss: number) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const high = sorted[Math.floor(sorted.length * 0.95)] ?? baseLoss;
  return shades.map((color, i) => ({
    color,
    // The first covers everything.
    level: i === 0 ? -Infinity : lowest + (high - lowest) * (i / shades.length) ** 2,
  }));
}

/** Grid points are the middles of cells. */
function frame(first: readonly number[], second: readonly number[]) {
  const half = (axis: readonly number[]) => ((axis[1] as number) - (axis[0] as number)) / 2;
  return {
    x1: (first[0] as number) - half(first),
    x2: (first.at(-1) as number) + half(first),
    y1: (second[0] as number) - half(second),
    y2: (second.at(-1) as number) + half(second),
  };
}

function axis(from: number, to: number) {
  return scale([from, to], { tight: true, log: false });
}
