import * as Plot from "@observablehq/plot";
import type { Point } from "../../statistics.js";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line } from "../series.js";
import { colors, type Figure, sizes } from "../style.js";

/** A loss over η, as a part of L(θ). */
export interface RelativeLoss {
  name: string;
  /** L(θ − ηΔ)/L(θ) over ascending η, with its standard error; NaN where it was not finite, or is not known. */
  points: readonly (Point & { error: number })[];
  /** ηc; NaN where there is none to be marked. */
  critical: number;
  /** The largest step within the budget; NaN where there is none to be marked. */
  allowed: number;
}

export interface RelativeLossData {
  /** Of its files. */
  name: string;
  title: string;
  subtitle: string;
  caption: string;
  losses: readonly RelativeLoss[];
  /** The part of L(θ) that a loss may rise by. */
  allow: number;
}

const palette = [colors.blue, colors.vermillion, colors.green, colors.purple, colors.sky, colors.ink];

/** How losses change along Δ, in percent of where each began, with ηc and the budget of each. */
export function relativeLossFigure({
  name,
  title,
  subtitle,
  caption,
  losses,
  allow,
}: RelativeLossData): Figure {
  const percent = losses.map(({ points }) =>
    points.map(({ x, y, error }) => ({ x, y: 100 * (y - 1), error: 100 * error })),
  );
  const top = ceiling(percent.flat(), 100 * allow);
  const xs = percent.flat().map(({ x }) => x);
  const extent = xs.reduce((most, x) => Math.max(most, x), 0);
  const values = [...percent.flat().map(({ y }) => Math.min(y, top)), 0, 100 * allow];
  const vertical = scale(values, { log: false, count: 8 });
  const curves = percent.map((points) => below(points, vertical.domain[1]));
  const chart = {
    title,
    subtitle,
    legend: legendItems(losses, allow, extent),
    x: { ...scale(xs, { tight: true, log: false, count: 7 }), label: "η along Δ (1: the other model)" },
    y: { ...vertical, label: "change of the loss, %" },
    marks: [
      extent > 1 &&
        Plot.ruleX([1], { stroke: colors.muted, strokeWidth: sizes.line, className: "other-model" }),
      Plot.ruleY([0], { stroke: colors.muted, strokeWidth: 1.2 }),
      Plot.ruleY([100 * allow], { stroke: colors.muted, strokeDasharray: "5 4", className: "budget" }),
      ...curves.flatMap((points, i) =>
        band(points, vertical.domain[1], palette[i % palette.length] as string),
      ),
      ...curves.flatMap((points, i) =>
        line(points, { color: palette[i % palette.length] as string, className: "relative-loss" }),
      ),
      ...losses.flatMap((loss, i) =>
        ends(loss, { allow, extent, color: palette[i % palette.length] as string }),
      ),
    ],
  };
  return {
    name,
    title,
    caption,
    draw: (size) => drawChart(chart, size),
    table: {
      columns: ["η", ...losses.map((loss) => loss.name)],
      rows: (losses[0]?.points ?? []).map(({ x }, k) => [
        prose(x),
        ...losses.map(({ points }) => `${prose(100 * ((points[k]?.y ?? NaN) - 1))} %`),
      ]),
    },
  };
}

/** The top of what is shown of changes in percent: where one rise is far beyond all that falls and the budget, that would be a line at the bottom. */
export function ceiling(points: readonly Point[], budget: number): number {
  const finite = points.map(({ y }) => y).filter(Number.isFinite);
  const [lowest, highest] = [Math.min(0, ...finite), Math.max(0, ...finite)];
  return Math.min(highest, Math.max(8 * budget, -1.5 * lowest));
}

/** A curve up to where it leaves the frame. */
export function below<P extends Point & { error: number }>(points: readonly P[], top: number): P[] {
  const shown: P[] = [];
  for (const [i, point] of points.entries()) {
    const before = points[i - 1];
    if (!(point.y > top)) {
      if (before && before.y > top) shown.push(crossing(before, point, top));
      shown.push(point);
    } else if (before && before.y <= top) {
      shown.push(crossing(before, point, top));
      shown.push({ ...point, y: NaN });
    }
  }
  return shown;
}

function crossing<P extends Point & { error: number }>(a: P, b: P, y: number): P {
  return { ...a, x: a.x + ((b.x - a.x) * (y - a.y)) / (b.y - a.y), y, error: NaN };
}

/** One standard error to either side, where there are several batches. */
function band(points: readonly (Point & { error: number })[], top: number, color: string): Mark[] {
  const known = points.filter(({ y, error }) => Number.isFinite(y) && error > 0);
  if (known.length < 2) return [];
  return [
    Plot.areaY(known, {
      x: "x",
      y1: ({ y, error }) => y - error,
      y2: ({ y, error }) => Math.min(top, y + error),
      fill: color,
      fillOpacity: 0.15,
      className: "standard-error",
    }),
  ];
}

interface Ends {
  allow: number;
  extent: number;
  color: string;
}

/** ηc on the line of no change, and the step within the budget on its own. */
function ends({ name, critical, allowed }: RelativeLoss, { allow, extent, color }: Ends): Mark[] {
  const at = (x: number, y: number, className: string, fill: string, what: string) =>
    x > 0 &&
    x <= extent &&
    Plot.dot([{ x, y }], {
      ...{ x: "x", y: "y", r: 5, fill, stroke: color, strokeWidth: sizes.line, className },
      title: () => `${name}: ${what} ${prose(x)}`,
    });
  return [
    at(critical, 0, "critical", colors.background, "ηc"),
    at(allowed, 100 * allow, "allowed", color, "the budget ends at"),
  ];
}

function legendItems(losses: readonly RelativeLoss[], allow: number, extent: number): LegendItem[] {
  const seen = (key: "critical" | "allowed") => losses.some((loss) => loss[key] > 0 && loss[key] <= extent);
  const items: LegendItem[] = losses.map(({ name }, i) => ({
    glyph: "line",
    color: palette[i % palette.length] as string,
    text: name,
  }));
  if (seen("critical")) items.push({ glyph: "ring", color: colors.ink, text: "ηc" });
  const until = seen("allowed") ? ", up to ●" : "";
  items.push({ glyph: "dashed", color: colors.muted, text: `budget, +${prose(100 * allow)} %${until}` });
  return items;
}
