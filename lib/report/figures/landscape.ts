import * as Plot from "@observablehq/plot";
import { drawChart } from "../chart.js";
import type { Figure } from "../figure.js";
import type { LegendItem } from "../legend.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import type { Point } from "../statistics.js";
import { colors, sizes } from "../style.js";

export interface LandscapeData {
  step: number;
  /** L(θ − ηΔ) over η > 0; NaN where it was not finite. */
  points: readonly Point[];
  /** L(θ) */
  baseLoss: number;
  /** ηc; NaN where there is none above 0. */
  critical: number;
  /** η of the step's update. */
  learningRate: number;
  /** What the loss is, with its unit. */
  label: string;
}

/** The loss along the update of a step. */
export function landscapeFigure(data: LandscapeData): Figure {
  const { step, baseLoss, critical, learningRate } = data;
  const curve = [{ x: 0, y: baseLoss }, ...data.points];
  const title = `Loss along the update of step ${step}`;
  const hasCritical = Number.isFinite(critical);
  const at = { x: learningRate, y: interpolate(curve, learningRate) };
  const legend: LegendItem[] = [
    { glyph: "line-dots", color: colors.blue, text: "L(θ − ηΔ)" },
    { glyph: "dashed", color: colors.muted, text: "L(θ)" },
    { glyph: "line", color: colors.vermillion, text: `this step's η = ${prose(learningRate)}` },
  ];
  if (hasCritical) legend.push({ glyph: "line", color: colors.ink, text: `ηc = ${prose(critical)}` });
  return {
    name: "loss-along-update",
    title,
    caption:
      `The loss of step ${step}'s batch along its own update Δ, before the step was taken. ` +
      (hasCritical
        ? "It falls, turns and passes L(θ) again at the critical learning rate ηc; the step itself went as far as η."
        : "No learning rate at which it passes L(θ) again was found."),
    draw: (size) =>
      drawChart(
        {
          title,
          subtitle: hasCritical
            ? `ηc is ${prose(critical / learningRate)} times the step's own η; λc = ${prose(2 / critical)}`
            : "no ηc > 0",
          legend,
          x: {
            ...scale([...curve.map(({ x }) => x), learningRate], { zero: true, log: false }),
            label: "learning rate η along Δ",
          },
          y: { ...scale(curve.map(({ y }) => y)), label: data.label },
          marks: [
            Plot.ruleY([baseLoss], { stroke: colors.muted, strokeDasharray: "5 4", className: "base-loss" }),
            Plot.ruleX([learningRate], {
              stroke: colors.vermillion,
              strokeWidth: sizes.line,
              className: "step",
            }),
            hasCritical &&
              Plot.ruleX([critical], { stroke: colors.ink, strokeWidth: sizes.line, className: "critical" }),
            Plot.line(curve, { x: "x", y: "y", stroke: colors.blue, strokeWidth: sizes.line }),
            Plot.dot(curve, { x: "x", y: "y", fill: colors.blue, r: 2, className: "loss-along-the-update" }),
            Plot.dot(hasCritical ? [{ x: critical, y: baseLoss }] : [], {
              x: "x",
              y: "y",
              r: 5,
              fill: colors.ink,
              stroke: "white",
            }),
            Plot.dot(Number.isFinite(at.y) ? [at] : [], {
              x: "x",
              y: "y",
              r: 5,
              fill: colors.vermillion,
              stroke: "white",
            }),
          ],
        },
        size,
      ),
  };
}

/** On the straight line between the neighbours; NaN outside. */
function interpolate(curve: readonly Point[], x: number): number {
  const i = curve.findIndex((point) => point.x >= x);
  const [a, b] = [curve[i - 1], curve[i]];
  if (!a || !b) return NaN;
  return a.y + ((b.y - a.y) * (x - a.x)) / (b.x - a.x);
}
