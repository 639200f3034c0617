import * as Plot from "@observablehq/plot";
import { type Axis, type Mark, textWidth } from "./chart.js";
import { numberText } from "./numbers.js";
import { scale } from "./scales.js";
import type { Point } from "./statistics.js";
import { type Size, sizes } from "./style.js";

/** So few points are shown one by one. */
const fewPoints = 40;

export interface LineOptions {
  color: string;
  /** Of its element, for whoever looks for it. */
  className: string;
  width?: number;
  opacity?: number;
  /** Whether few points are marked; a point alone is in any case, or it would not be seen. */
  dots?: boolean;
}

/** A series as a line, broken where there is no value. */
export function line(points: readonly Point[], options: LineOptions): Mark[] {
  const { color, className, width = sizes.line, opacity = 1, dots = false } = options;
  const marked = points.length === 1 || (dots && points.length <= fewPoints);
  const at = { x: "x", y: "y" };
  return [
    Plot.line(thin(points), { ...at, stroke: color, strokeWidth: width, strokeOpacity: opacity, className }),
    // No marker of the line's: that would need an id, and a page has many figures.
    marked && Plot.dot(points, { ...at, fill: color, r: 3, className: `${className}-points` }),
  ];
}

/** The axis of a series over steps. */
export function stepAxis(steps: readonly number[], { width }: Size): Axis {
  const count = width > 600 ? 10 : 6;
  return { ...scale(steps, { whole: true, tight: true, log: false, count }), label: "step" };
}

/** What stands on the axis of a series. */
export interface Placed {
  name: string;
  /** Null where nobody knows. */
  step: number | null;
  tokens: number | null;
}

/** Where each one of a series stands on the horizontal axis, and what the axis says. */
export interface SeriesAxis {
  xs: number[];
  axis(size: Size): Axis;
  /** Where the scale ends, if checkpoints without a step stand behind it. */
  border?: number;
}

/** Points as a line goes through them: not over the border of an axis, nor behind it. */
export function connected<P extends Point>(points: readonly P[], border = Infinity): Point[] {
  return points.flatMap((point) => (point.x > border ? [{ x: point.x, y: NaN }, point] : [point]));
}

/**
 * Over tokens where all names say how many, else over steps, else one after the other. Checkpoints whose names have no number
 * ("final") stand behind the others, beyond a border.
 */
export function seriesAxis(checkpoints: readonly Placed[]): SeriesAxis {
  const keys = ["tokens", "step"] as const;
  const known = (key: "tokens" | "step") =>
    checkpoints.flatMap(({ [key]: value }) => (value === null ? [] : [value]));
  for (const key of keys) {
    const values = known(key);
    if (values.length === checkpoints.length && distinct(values))
      return { xs: values, axis: (size) => valueAxis(values, key, checkpoints, size) };
  }
  for (const key of keys) {
    const values = known(key);
    const others = checkpoints.length - values.length;
    if (values.length > 1 && distinct(values) && others > 0 && others <= mostAside)
      return asideAxis(checkpoints, key, values);
  }
  return placeAxis(checkpoints);
}

const mostAside = 3;
const distinct = (values: readonly number[]) => new Set(values).size === values.length;

function valueAxis(
  values: readonly number[],
  key: "tokens" | "step",
  checkpoints: readonly Placed[],
  { width }: Size,
): Axis {
  return {
    ...scale(values, { whole: true, log: false, count: width > 600 ? 9 : 5 }),
    label: axisLabel(key, checkpoints),
  };
}

function axisLabel(key: "tokens" | "step", checkpoints: readonly Placed[]): string {
  if (key === "tokens") return "tokens seen";
  const numbered = checkpoints.filter(({ step }) => step !== null);
  const isEpoch = ({ name }: Placed) => /epoch/i.test(name) && !/step|iter|checkpoint|ckpt/i.test(name);
  return numbered.every(isEpoch) ? "epoch" : "training step";
}

/** Checkpoints with a number at its place, then a border and the others side by side, by name. */
function asideAxis(
  checkpoints: readonly Placed[],
  key: "tokens" | "step",
  values: readonly number[],
): SeriesAxis {
  const [first, last] = [Math.min(...values), Math.max(...values)];
  const aside = checkpoints.filter((checkpoint) => checkpoint[key] === null);
  const names = aside.map(({ name }) => shortName(name));
  // As far apart as their names need on the narrowest of figures.
  const widest = Math.max(...names.map((name) => textWidth(name, sizes.text))) + 16;
  const room = Math.min(0.6, (aside.length * widest) / narrowPlot);
  const gap = ((last - first) * room) / (1 - room) / aside.length;
  const border = last + gap * 0.5;
  const places = new Map(aside.map((checkpoint, i) => [checkpoint, last + gap * (i + 1)]));
  return {
    xs: checkpoints.map((checkpoint) => places.get(checkpoint) ?? (checkpoint[key] as number)),
    border,
    axis(size) {
      const axis = valueAxis(values, key, checkpoints, size);
      const named = new Map([...places.values()].map((x, i) => [x, names[i] as string]));
      return {
        ...axis,
        domain: [axis.domain[0], last + gap * (aside.length + 0.5)],
        ticks: [...axis.ticks.filter((tick) => tick <= last), ...named.keys()],
        format: (tick) => named.get(tick) ?? axis.format(tick),
      };
    },
  };
}

/** Pixels between the ends of the narrowest figure's axis. */
const narrowPlot = 320;

const shortName = (name: string) => (name.length > 14 ? `…${name.slice(-13)}` : name);

/** One checkpoint after the other, by name. */
export function placeAxis(checkpoints: readonly Placed[]): SeriesAxis {
  const xs = checkpoints.map((_, i) => i);
  const texts = checkpoints.map(({ name, step, tokens }) => {
    if (tokens !== null || step !== null) return numberText((tokens ?? step) as number);
    return shortName(name);
  });
  const widest = Math.max(...texts.map((text) => textWidth(text, sizes.text)));
  const [{ tokens, step }] = checkpoints as [Placed];
  return {
    xs,
    axis({ width }) {
      const every = Math.ceil((xs.length * (widest + 12)) / (width - 120));
      return {
        type: "linear",
        domain: [-0.5, xs.length - 0.5],
        ticks: xs.filter((x) => x % every === 0),
        minor: [],
        format: (x) => texts[x] ?? "",
        label:
          tokens !== null || step !== null
            ? axisLabel(tokens !== null ? "tokens" : "step", checkpoints)
            : "checkpoint",
      };
    },
  };
}

/** Above this number of points a figure has more of them than it has pixels for. */
export const mostPoints = 1600;

/**
 * A line with at most 1600 points that looks the same: of each of 800 stretches the lowest and the highest point stay.
 * A stretch without a finite value stays a gap.
 */
export function thin(points: readonly Point[]): Point[] {
  if (points.length <= mostPoints) return [...points];
  return stretches(points, mostPoints / 2).flatMap(({ low, high }) =>
    low === high ? [low] : [low, high].sort((a, b) => a.x - b.x),
  );
}

/** From the lowest to the highest value in each of so many stretches of a series: a band, for a haze of points. */
export function ranges(points: readonly Point[], count: number): { x: number; low: number; high: number }[] {
  return stretches(points, count).map(({ low, high, middle }) => ({ x: middle, low: low.y, high: high.y }));
}

function stretches(points: readonly Point[], count: number) {
  const start = (i: number) => Math.floor((i * points.length) / count);
  return Array.from({ length: count }, (_, i) => {
    const all = points.slice(start(i), start(i + 1)) as [Point, ...Point[]];
    const finite = all.filter(({ y }) => Number.isFinite(y)) as [Point, ...Point[]];
    const part = finite.length > 0 ? finite : all;
    const last = all[all.length - 1] as Point;
    return {
      low: part.reduce((a, b) => (b.y < a.y ? b : a)),
      high: part.reduce((a, b) => (b.y > a.y ? b : a)),
      middle: (all[0].x + last.x) / 2,
    };
  });
}
