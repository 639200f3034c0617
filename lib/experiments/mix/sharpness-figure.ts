import * as Plot from "@observablehq/plot";
import {
  colors,
  counted,
  drawChart,
  edgeMarks,
  edgeRoom,
  errorBars,
  type Figure,
  type LegendItem,
  line,
  type Mark,
  prose,
  scale,
  unresolvedMarks,
} from "../../report/index.js";
import type { MixPoint } from "./mix-estimate.js";
import { type MixRecommendation, ratiosText } from "./recommendation.js";

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
  const bars = series.map(({ own }) =>
    own.flatMap(({ x, interval, status }) =>
      interval && status !== "unbounded" && interval[0] < most
        ? [{ x, low: interval[0], high: interval[1] }]
        : [],
    ),
  );
  // An end that is infinite, or far off, would flatten all else: its bar ends in an arrow.
  const ends = bars.flat().flatMap(({ low, high }) => [Math.max(low, least), Math.min(high, most)]);
  const y = scale([...finite, ...ends], { log: true });
  const counted = (status: MixPoint["status"]) => points.filter((point) => point.status === status).length;
  const edges = {
    infinite: counted("non-descent"),
    unbounded: counted("unbounded"),
    unresolved: counted("unresolved"),
  };
  const title = "Relative critical sharpness over the mix";
  const chart = {
    title,
    subtitle: subtitle(recommendation),
    legend: legendItems(tasks, { ...edges, recommendation }),
    insetTop: edges.infinite > 0 ? edgeRoom : 0,
    insetBottom: edges.unbounded + edges.unresolved > 0 ? edgeRoom : 0,
    x: { ...scale(ratios, { log: false, count: 10 }), label: `ratio of ${vary} in the mixture` },
    y: { ...y, label: "λc (units of 1/η)" },
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
        ...errorBars(bars[n] ?? [], { color, className: "curve", domain: y.domain }),
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
        ...unresolvedMarks(
          own.filter(({ status }) => status === "unresolved").map(({ x }) => x),
          { color, title: () => `${task}: unresolved` },
        ),
      ]),
    ],
  };
  return {
    name: "mix-sharpness",
    title,
    caption: caption(points, vary, edges.infinite),
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

/** A band behind each ratio that may be the best, and a line at the one that is in the mean. */
function sweetSpotMarks({ ratio, ratios, decided, pValues }: MixRecommendation, range: number): Mark[] {
  if (ratio === null) return [];
  const all = pValues.map((p) => p.ratio);
  const bands = ratios.map((chosen) => {
    const place = all.indexOf(chosen);
    const middle = (next: number | undefined) => (next === undefined ? 0.024 * range : (next - chosen) / 2);
    const [left, right] = [all[place - 1], all[place + 1]];
    return {
      low: chosen - Math.abs(middle(left)),
      high: chosen + Math.abs(middle(right)),
    };
  });
  return [
    ...(decided
      ? [
          Plot.rect(bands, {
            x1: "low",
            x2: "high",
            fill: colors.frame,
            fillOpacity: 0.18,
            className: "candidates",
          }),
        ]
      : []),
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
    unresolved,
    recommendation,
  }: Record<"infinite" | "unbounded" | "unresolved", number> & { recommendation: MixRecommendation },
): LegendItem[] {
  const items: LegendItem[] = tasks.map((task, n) => ({
    glyph: "line-dots",
    color: taskColor(n),
    text: task,
  }));
  if (recommendation.ratio !== null)
    items.push({ glyph: "dashed", color: colors.ink, text: "best in the mean" });
  if (recommendation.decided)
    items.push({ glyph: "area", color: colors.frame, opacity: 0.3, text: "may be the best (95 %)" });
  if (infinite > 0)
    items.push({ glyph: "triangle-up", color: colors.muted, text: `λc = ∞: non-descent (${infinite})` });
  if (unbounded > 0)
    items.push({ glyph: "triangle-down", color: colors.muted, text: `λc = 0: unbounded (${unbounded})` });
  if (unresolved > 0) items.push({ glyph: "ring", color: colors.muted, text: `unresolved (${unresolved})` });
  return items;
}

function subtitle({
  ratio,
  ratios,
  decided,
  descends,
  criticalLearningRate,
  pValues,
}: MixRecommendation): string {
  const open = "  ·  not decided by the data";
  if (ratio === null)
    return `at every ratio the loss of some task rises at once${descends === false ? "" : open}`;
  const all = pValues.map((p) => p.ratio);
  const set = decided ? ` (the best is among ${ratiosText(ratios, all)})` : "";
  return `sweet spot ${prose(ratio)}${set}  ·  common ηc ${prose(criticalLearningRate)}${decided ? "" : open}`;
}

function pointTitle(point: MixPoint): string {
  const { task, ratio, criticalSharpness, interval, count, nonDescent, unresolved } = point;
  const range = interval ? ` (${prose(interval[0])} to ${prose(interval[1])})` : "";
  const some = nonDescent > 0 ? `, ${nonDescent} of ${counted(count, "repeat")} non-descent` : "";
  const open = unresolved > 0 ? `, ${unresolved} of ${counted(count, "repeat")} unresolved` : "";
  return `${task} at ${prose(ratio)}: λc ${prose(criticalSharpness)}${range}${some}${open}`;
}

function caption(points: readonly MixPoint[], vary: string, infinite: number): string {
  return [
    `λc of each task along the update of the mixture in which ${vary} has the ratio: the smaller, the larger the learning`,
    "rate that leaves the task's loss where it is.",
    points.some(({ interval }) => interval) ? "Bars: 95 % confidence over repeats." : "",
    infinite > 0
      ? "Triangles on the upper edge: the update raises that task's loss at once, however small the step."
      : "",
    ...unresolvedText(points),
    "The sweet spot is where the largest curve is lowest.",
  ]
    .filter(Boolean)
    .join(" ");
}

function unresolvedText(points: readonly MixPoint[]): string[] {
  const unresolved = points.reduce((sum, point) => sum + point.unresolved, 0);
  const all = points.reduce((sum, point) => sum + point.count, 0);
  return unresolved > 0
    ? [`${unresolved} of ${counted(all, "measurement")} could not be told from the rounding of the losses.`]
    : [];
}
