import * as Plot from "@observablehq/plot";
import { manyPoints, median, type Point, running, valueAt, windowFor } from "../../statistics.js";
import { type Chart, drawChart, type LegendItem, type Mark } from "../chart.js";
import {
  type CurvatureData,
  type EigenvaluePoint,
  edgeOfStability,
  overThresholds,
} from "../edge-of-stability.js";
import { integerText, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line, mostPoints, ranges, stepAxis, thin } from "../series.js";
import { colors, type Figure, type Size } from "../style.js";

import { edgeMarks, edgeRoom, errorBars, unresolvedLegend, unresolvedMarks } from "./marks.js";

/** So many points as large as usual would cover one another. */
const manyEigenvalues = 60;
/** Of so many none is seen by itself: the line shows them, and the points are those that did not converge. */
const mostEigenvalues = 400;

const hues = { largest: colors.purple, directional: colors.green, critical: colors.blue };
const sameThreshold = ({ threshold, stepThreshold }: CurvatureData) =>
  threshold.every(({ x, y }) => Math.abs(y / valueAt(stepThreshold, x) - 1) < 1e-9);

/**
 * The largest eigenvalue, λdir and λc over steps, beside what each is compared with.
 *
 * @param of which run, where there are several
 */
export function curvatureFigure(data: CurvatureData, of?: string): Figure {
  const { name, largest, threshold, thresholdName, directional, critical, stepThreshold } = data;
  const one = sameThreshold(data);
  const title = of ?? `${name}, directional and critical sharpness`;
  const shown = [...largest, ...threshold, ...directional, ...critical, ...stepThreshold];
  const y = frame(shown, largest);
  return figure("curvature", title, shown, data, {
    subtitle: lastly(data),
    legend: [
      { glyph: "line-dots", color: hues.largest, text: name + missed(data) },
      ...sharpnessLegend(data),
      ...(one || thresholdName === null
        ? []
        : [{ glyph: "dashed", color: colors.vermillion, text: thresholdName } as const]),
      { glyph: "line", color: colors.vermillion, text: "2/η" },
    ],
    y: { ...y, label: "sharpness (units of 1/η)" },
    marks: [
      ...line(stepThreshold, { color: colors.vermillion, className: "threshold" }),
      !one &&
        Plot.line(thin(threshold), {
          x: "x",
          y: "y",
          stroke: colors.vermillion,
          strokeWidth: 1.5,
          strokeDasharray: "5 4",
          className: "eigenvalue-threshold",
        }),
      ...sharpnessMarks(directional, critical),
      ...eigenvalueMarks(largest, y.domain),
    ],
    caption:
      `${name} from Hessian-vector products, with its residual as an error bar, λdir = ΔᵀHΔ/(∇L·Δ) and λc = 2/ηc. ` +
      (thresholdName === null
        ? `λdir and λc are compared with 2/η; with this optimizer ${name} has no threshold.`
        : `${name} is compared with ${thresholdName}, λdir and λc with 2/η.`),
  });
}

/** The same, each over its threshold: 1 is the edge of stability. */
export function relativeCurvatureFigure(data: CurvatureData, of?: string): Figure {
  const { largest, directional, critical } = overThresholds(data);
  const shown = [...largest, ...directional, ...critical, { x: NaN, y: 1 }];
  const y = frame(shown, largest);
  return figure("relative-curvature", of ?? "Sharpness over its threshold", shown, data, {
    subtitle: "1 is the edge of stability",
    legend: [
      ...(data.thresholdName === null
        ? []
        : [
            {
              glyph: "line-dots",
              color: hues.largest,
              text: `${data.name} ÷ (${data.thresholdName})${missed(data)}`,
            } as const,
          ]),
      ...sharpnessLegend(data, " · η/2"),
    ],
    y: { ...y, label: "sharpness ÷ threshold" },
    marks: [
      Plot.ruleY([1], { stroke: colors.vermillion, strokeWidth: 2, className: "threshold" }),
      ...sharpnessMarks(directional, critical),
      ...eigenvalueMarks(largest, y.domain),
    ],
    caption:
      data.thresholdName === null
        ? "λdir and λc, each divided by 2/η. Where the loss no longer falls λc stays near 1."
        : `${data.name}, λdir and λc, each divided by what it is compared with. At the edge of stability ${data.name} stays near 1.`,
  });
}

/** A log axis with everything on it, the ends of residuals included; one that reaches below a tenth of its value is an arrow there. */
function frame(shown: readonly Point[], largest: readonly EigenvaluePoint[]) {
  const ends = largest.flatMap(({ y, low, high }) => [low >= y / 10 ? low : y, high <= 10 * y ? high : y]);
  return scale(shown.map(({ y }) => y).concat(ends), { log: true });
}

function missed({ largest }: CurvatureData): string {
  const count = largest.filter(({ converged }) => !converged).length;
  return count ? ` (${integerText(count)} not converged, ring)` : "";
}

function figure(
  name: string,
  title: string,
  shown: readonly Point[],
  { directional, unresolved, nonDescent }: CurvatureData,
  { caption, ...chart }: Omit<Chart, "x" | "title" | "marks"> & { caption: string; marks: readonly Mark[] },
): Figure {
  const negative = directional.filter(({ y }) => y <= 0).map(({ x }) => x);
  const steps = shown.map(({ x }) => x).filter(Number.isFinite);
  const all: Omit<Chart, "x"> = {
    ...chart,
    title,
    insetTop: nonDescent.length > 0 ? edgeRoom : 0,
    insetBottom: negative.length + unresolved.length > 0 ? edgeRoom : 0,
    marks: [
      ...chart.marks,
      ...unresolvedMarks(unresolved, {
        color: hues.critical,
        title: (step) => `step ${step}: λc unresolved`,
      }),
      ...edgeMarks(nonDescent, {
        edge: "top",
        label: "∞",
        color: hues.critical,
        title: (step) => `step ${step}: non-descent, λc = ∞`,
        className: "non-descent",
      }),
      ...edgeMarks(negative, {
        edge: "bottom",
        label: "≤ 0",
        color: hues.directional,
        title: (step) => `step ${step}: λdir ≤ 0`,
        className: "negative-directional",
      }),
    ],
  };
  const draw = (size: Size) =>
    drawChart({ ...all, x: stepAxis(steps.concat(unresolved, nonDescent), size) }, size);
  return { name, title, caption, draw };
}

function sharpnessLegend(
  { directional, critical, unresolved, nonDescent }: CurvatureData,
  unit = "",
): LegendItem[] {
  const negative = directional.filter(({ y }) => y <= 0).length;
  const items: LegendItem[] = [];
  if (directional.length > 0)
    items.push({ glyph: "line-dots", color: hues.directional, text: `λdir${unit}` });
  if (critical.length > 0) items.push({ glyph: "line", color: hues.critical, text: `λc${unit}` });
  if (negative > 0)
    items.push({
      glyph: "triangle-down",
      color: hues.directional,
      text: `λdir ≤ 0 (${integerText(negative)})`,
    });
  if (nonDescent.length > 0)
    items.push({
      glyph: "triangle-up",
      color: hues.critical,
      text: `λc = ∞: non-descent (${integerText(nonDescent.length)})`,
    });
  return [...items, ...unresolvedLegend(unresolved.length, hues.critical)];
}

function sharpnessMarks(directional: readonly Point[], critical: readonly Point[]): Mark[] {
  const positive = directional.map(({ x, y }) => ({ x, y: y > 0 ? y : NaN }));
  const many = critical.length > manyPoints;
  return [
    many &&
      critical.length <= mostPoints &&
      Plot.dot(critical, {
        x: "x",
        y: "y",
        r: 1.5,
        fill: hues.critical,
        fillOpacity: 0.2,
        className: "critical-points",
      }),
    critical.length > mostPoints &&
      Plot.areaY(ranges(critical, 400), {
        x: "x",
        y1: "low",
        y2: "high",
        fill: hues.critical,
        fillOpacity: 0.2,
        className: "critical-range",
      }),
    ...line(many ? running(critical, windowFor(critical.length), median) : critical, {
      color: hues.critical,
      width: 1.5,
      className: "critical",
      dots: true,
    }),
    ...line(positive, { color: hues.directional, width: 1.5, className: "directional", dots: true }),
  ];
}

function eigenvalueMarks(largest: readonly EigenvaluePoint[], domain: readonly [number, number]): Mark[] {
  const few = largest.length <= mostEigenvalues;
  const bars = few ? largest.filter(({ low, high }) => low < high) : [];
  const marked = few ? largest : thin(largest.filter(({ converged }) => !converged));
  return [
    ...errorBars(bars, { color: hues.largest, className: "residual", domain }),
    ...line(largest, { color: hues.largest, className: "largest" }),
    Plot.dot(marked, {
      x: "x",
      y: "y",
      r: largest.length > manyEigenvalues ? 1.5 : 3,
      fill: ({ converged }: EigenvaluePoint) => (converged ? hues.largest : colors.background),
      stroke: hues.largest,
      title: ({ x, y, converged }: EigenvaluePoint) =>
        `step ${x}: ${prose(y)}${converged ? "" : ", not converged"}`,
      className: "largest-points",
    }),
  ];
}

/** Where the sharpness sits in the second half of the steps at the highest learning rate. */
function lastly(data: CurvatureData): string {
  const { from, to, largest, critical } = edgeOfStability(data);
  const told = [
    [data.name, largest],
    ["λc", critical],
  ] as const;
  const values = told.flatMap(([name, spread]) => (spread ? [`${name} ${prose(spread.median)}`] : []));
  return `over its threshold, median of steps ${integerText(from)}–${integerText(to)}: ${values.join("  ·  ")}`;
}
