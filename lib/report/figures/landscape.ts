import * as Plot from "@observablehq/plot";
import type { Point } from "../../statistics.js";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line } from "../series.js";
import { colors, type Figure, sizes } from "../style.js";

import { edgeRoom, notFinite, notFiniteLegend, notFiniteMarks } from "./marks.js";

export interface LandscapeData {
  /** The step whose update Δ is, if any. */
  step?: number;
  /** L(θ − ηΔ) over ascending η; NaN where it was not finite. */
  points: readonly Point[];
  /** Where the points begin, if not at 0. */
  from?: number;
  /** L(θ) */
  baseLoss: number;
  /** ηc; NaN where there is none that is finite and above 0. */
  critical: number;
  /** How its search ended; what is unresolved is told apart from a loss that does not rise. */
  status?: string | undefined;
  /** η of the step's update; NaN where Δ is no step's. */
  learningRate: number;
  /** What the loss is, with its unit. */
  label: string;
}

/** The loss along an update. */
export function landscapeFigure(data: LandscapeData): Figure {
  const { step, baseLoss, critical, learningRate, label } = data;
  const curve = withOrigin(data);
  const hasCritical = Number.isFinite(critical);
  const title = step === undefined ? "Loss along Δ" : `Loss along the update of step ${step}`;
  const isStep = Number.isFinite(learningRate);
  const chart = {
    title,
    subtitle: hasCritical
      ? `${isStep ? `ηc is ${prose(critical / learningRate)} times this step's η  ·  ` : ""}λc = 2/ηc = ${prose(2 / critical)}`
      : without(data.status),
    legend: legendItems(data),
    x: {
      ...scale([...curve.map(({ x }) => x), learningRate], {
        zero: data.from === undefined,
        log: false,
        count: 7,
      }),
      label: "learning rate η along Δ",
    },
    y: { ...scale(curve.map(({ y }) => y)), label },
    insetTop: notFinite(curve).length > 0 ? edgeRoom : 0,
    marks: [
      ...notFiniteMarks(curve),
      Plot.areaY(below(curve, baseLoss, critical), {
        x: "x",
        y1: baseLoss,
        y2: "y",
        fill: colors.sky,
        fillOpacity: 0.3,
        className: "below",
      }),
      Plot.ruleY([baseLoss], {
        stroke: colors.muted,
        strokeWidth: 1.5,
        strokeDasharray: "5 4",
        className: "base-loss",
      }),
      ...verticals(data),
      ...curveMarks(curve),
      ...pointMarks([
        { x: learningRate, y: interpolate(curve, learningRate), color: colors.vermillion },
        { x: critical, y: baseLoss, color: colors.ink },
      ]),
    ],
  };
  return {
    name: "loss-along-update",
    title,
    caption: [
      step === undefined
        ? "The loss of the batch along Δ."
        : `The loss of step ${step}'s batch along its update Δ, before it was made.`,
      ...(hasCritical
        ? ["Where the loss passes L(θ) is the critical learning rate ηc (shaded: where it is lower)."]
        : []),
      ...(hasCritical && isStep ? ["The update itself went as far as this step's η."] : []),
    ].join(" "),
    draw: (size) => drawChart(chart, size),
  };
}

/** Why there is no ηc. */
function without(status: string | undefined): string {
  if (status === "unresolved")
    return "ηc is unresolved: the loss along Δ cannot be told from its rounding noise, or rises below all that was tried";
  if (status === "non-descent") return "Δ does not descend: the loss rises at every learning rate, ηc = 0";
  return "no learning rate at which the loss passes L(θ)";
}

/** The points, and L(θ) in its place among them where they are on both sides of it or begin there. */
function withOrigin({ points, from = 0, baseLoss }: LandscapeData): Point[] {
  if (from > 0) return [...points];
  const before = points.filter(({ x }) => x < 0);
  return [...before, { x: 0, y: baseLoss }, ...points.filter(({ x }) => x > 0)];
}

function verticals({ critical, learningRate }: LandscapeData): Mark[] {
  return [
    Number.isFinite(learningRate) &&
      Plot.ruleX([learningRate], {
        stroke: colors.vermillion,
        strokeWidth: sizes.line,
        className: "learning-rate",
      }),
    Number.isFinite(critical) &&
      Plot.ruleX([critical], { stroke: colors.ink, strokeWidth: sizes.line, className: "critical" }),
  ];
}

function curveMarks(curve: readonly Point[]): Mark[] {
  return [
    ...line(curve, { color: colors.blue, className: "curve" }),
    curve.length <= 100 &&
      Plot.dot(curve, {
        x: "x",
        y: "y",
        fill: colors.blue,
        r: 2.2,
        title: ({ x, y }: Point) => `η = ${prose(x)}: loss ${prose(y, 6)}`,
        className: "curve-points",
      }),
  ];
}

function pointMarks(points: readonly (Point & { color: string })[]): Mark[] {
  return points
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))
    .map(({ color, ...point }) =>
      Plot.dot([point], { x: "x", y: "y", r: 5, fill: color, stroke: colors.background }),
    );
}

function legendItems({ points, learningRate, critical }: LandscapeData): LegendItem[] {
  const items: LegendItem[] = [
    { glyph: "line-dots", color: colors.blue, text: "L(θ − ηΔ)" },
    { glyph: "dashed", color: colors.muted, text: "L(θ)" },
  ];
  if (Number.isFinite(learningRate))
    items.push({ glyph: "line", color: colors.vermillion, text: `step's η = ${prose(learningRate)}` });
  if (Number.isFinite(critical))
    items.push({ glyph: "line", color: colors.ink, text: `ηc = ${prose(critical)}` });
  return [...items, ...notFiniteLegend(points)];
}

/** The part of the curve before ηc, and ηc itself: where the loss is lower than L(θ). */
function below(curve: readonly Point[], baseLoss: number, critical: number): Point[] {
  if (!Number.isFinite(critical)) return [];
  const before = curve.filter(({ x, y }) => x >= 0 && x < critical && y <= baseLoss);
  if (before.length === 0) return [];
  return [...before, { x: critical, y: baseLoss }];
}

/** On the straight line between the neighbours; NaN outside. */
function interpolate(curve: readonly Point[], x: number): number {
  const i = curve.findIndex((point) => point.x >= x);
  const [a, b] = [curve[i - 1], curve[i]];
  if (!a || !b) return NaN;
  return a.y + ((b.y - a.y) * (x - a.x)) / (b.x - a.x);
}
