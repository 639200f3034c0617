import * as Plot from "@observablehq/plot";
import type { MixPoint, MixRecommendation } from "../../experiments/index.js";
import { mayHaveRatio } from "../../experiments/mix-recommendation.js";
import { drawChart, type Mark } from "../chart.js";
import type { Figure } from "../figure.js";
import type { LegendItem } from "../legend.js";
import { counted, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line } from "../series.js";
import { colors } from "../style.js";
import { edgeMarks, edgeRoom } from "./edge-marks.js";
import { errorBars } from "./error-bars.js";

export interface MixSharpnessData {
  points: readonly MixPoint[];
  recommendation: MixRecommendation;
  /** The source whose ratio it is. */
  vary: string;
}

const palette = [colors.blue, colors.vermillion, colors.green, colors.purple, colors.sky, colors.muted];
/** Of the n-th task, in every figure of a mix. */
export const taskColor = (n: number) => palette[n % palette.length] as string;

/** λc of each task over the ratio, and the sweet spot. */
export function mixSharpnessFigure({ points, recommendation, vary }: MixSharpnessData): Figure {
  const tasks = [...new Set(points.map(({ task }) => task))];
  const ratios = [...new Set(points.map(({ ratio }) => ratio))];
  const range = Math.max(...ratios) - Math.min(...ratios) || 1;
  // Side by side where they have the same ratio.
  const shift = (n: number) => (n - (tasks.length - 1) / 2) * 0.013 * range;
  const series = tasks.map((task, n) => {
    const own = points
      .filter((point) => point.task === task)
      .map((point) => ({ ...point, x: point.ratio + shift(n) }));
    return { task, color: taskColor(n), own };
  });
  const finite = points.map((p) => p.criticalSharpness).filter((y) => y > 0 && Number.isFinite(y));
  const [least, most] = [Math.min(...finite) / 10, Math.max(...finite) * 10];
  // An end that is infinite, or far off, would flatten all else: its bar ends in an arrow.
  const bars = series.map(({ own }) =>
    own.flatMap(({ x, interval, status }) =>
      interval && status !== "unbounded" && interval[0] < most
        ? [
            {
              x,
              low: Math.max(interval[0], least),
              high: Math.min(interval[1], most),
              isLowBeyond: interval[0] < least,
              isHighBeyond: interval[1] > most,
            },
          ]
        : [],
    ),
  );
  const infinite = points.filter(({ status }) => status === "non-descent").length;
  const unbounded = points.filter(({ status }) => status === "unbounded").length;
  const title = "Relative critical sharpness over the mix";
  const chart = {
    title,
    subtitle: subtitle(recommendation),
    legend: legendItems(tasks, { infinite, unbounded, recommendation }),
    insetTop: infinite > 0 ? edgeRoom : 0,
    insetBottom: unbounded > 0 ? edgeRoom : 0,
    x: { ...scale(ratios, { log: false, count: 10 }), label: `ratio of ${vary} in the mixture` },
    y: {
      ...scale([...finite, ...bars.flat().flatMap(({ low, high }) => [low, high])], { log: true }),
      label: "λc (units of 1/η)",
    },
    marks: [
      ...sweetSpotMarks(recommendation, range),
      ...series.flatMap(({ task, color, own }, n): Mark[] => [
        ...line(
          own.map(({ x, status, criticalSharpness }) => ({
            x,
            y: status === "converged" ? criticalSharpness : NaN,
          })),
          { color, width: 1.5, opacity: 0.6, className: "curve" },
        ),
        ...errorBars(bars[n] ?? [], color, "curve"),
        Plot.dot(
          own.filter(({ status }) => status === "converged"),
          {
            x: "x",
            y: "criticalSharpness",
            fill: color,
            r: 3.5,
            title: (p: MixPoint) => pointTitle(p),
            className: "curve-points",
          },
        ),
        ...edge(own, "non-descent", { task, color }),
        ...edge(own, "unbounded", { task, color }),
      ]),
    ],
  };
  return {
    name: "mix-sharpness",
    title,
    caption: caption(points, vary, infinite),
    draw: (size) => drawChart(chart, size),
  };
}

function edge(
  own: readonly (MixPoint & { x: number })[],
  status: "non-descent" | "unbounded",
  { task, color }: { task: string; color: string },
): Mark[] {
  const top = status === "non-descent";
  return edgeMarks(
    own.filter((point) => point.status === status).map(({ x }) => x),
    {
      edge: top ? "top" : "bottom",
      label: top ? "∞" : "0",
      color,
      title: () => `${task}: ${status}, λc = ${top ? "∞" : "0"}`,
      className: status,
    },
  );
}

function sweetSpotMarks({ ratio, interval }: MixRecommendation, range: number): Mark[] {
  if (ratio === null) return [];
  const [low, high] = interval ?? [ratio, ratio];
  const half = 0.012 * range;
  return [
    Plot.rect([{ low: low - half, high: high + half }], {
      x1: "low",
      x2: "high",
      fill: colors.frame,
      fillOpacity: 0.18,
      className: "interval",
    }),
    Plot.ruleX([ratio], {
      stroke: colors.ink,
      strokeWidth: 1.5,
      strokeDasharray: "5 4",
      className: "sweet-spot",
    }),
  ];
}

function legendItems(
  tasks: readonly string[],
  {
    infinite,
    unbounded,
    recommendation,
  }: { infinite: number; unbounded: number; recommendation: MixRecommendation },
): LegendItem[] {
  const items: LegendItem[] = tasks.map((task, n) => ({
    glyph: "line-dots",
    color: taskColor(n),
    text: task,
  }));
  if (recommendation.ratio !== null) items.push({ glyph: "dashed", color: colors.ink, text: "sweet spot" });
  if (recommendation.interval)
    items.push({ glyph: "area", color: colors.frame, opacity: 0.3, text: "its 95 % interval" });
  if (infinite > 0)
    items.push({ glyph: "triangle-up", color: colors.muted, text: `λc = ∞: non-descent (${infinite})` });
  if (unbounded > 0)
    items.push({ glyph: "triangle-down", color: colors.muted, text: `λc = 0: unbounded (${unbounded})` });
  return items;
}

function subtitle(recommendation: MixRecommendation): string {
  const { ratio, interval, decided, criticalLearningRate } = recommendation;
  if (ratio === null)
    return `at every ratio the loss of some task rises at once${mayHaveRatio(recommendation) ? "  ·  not decided by the data" : ""}`;
  const range = interval ? ` (${prose(interval[0])} to ${prose(interval[1])})` : "";
  const spot = `sweet spot ${prose(ratio)}${range}  ·  common ηc ${prose(criticalLearningRate)}`;
  return decided ? spot : `${spot}  ·  not decided by the data`;
}

function pointTitle({ task, ratio, criticalSharpness, interval, count, nonDescent }: MixPoint): string {
  const range = interval ? ` (${prose(interval[0])} to ${prose(interval[1])})` : "";
  const some = nonDescent > 0 ? `, ${nonDescent} of ${counted(count, "repeat")} non-descent` : "";
  return `${task} at ${prose(ratio)}: λc ${prose(criticalSharpness)}${range}${some}`;
}

function caption(points: readonly MixPoint[], vary: string, infinite: number): string {
  return [
    `λc of each task along the update of the mixture in which ${vary} has the ratio: the smaller, the larger the learning`,
    "rate that leaves the task's loss where it is.",
    points.some(({ interval }) => interval) ? "Bars: 95 % of resampled repeats." : "",
    infinite > 0
      ? "Triangles on the upper edge: the update raises that task's loss at once, however small the step."
      : "",
    "The sweet spot is where the largest curve is lowest.",
  ]
    .filter(Boolean)
    .join(" ");
}
