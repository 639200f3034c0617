import * as Plot from "@observablehq/plot";
import type { Point } from "../statistics.js";
import type { Axis, Mark } from "./chart.js";
import { numberText } from "./numbers.js";
import { scale } from "./scales.js";
import { type Size, sizes } from "./style.js";
import { textWidth } from "./typesetting.js";

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
  const count = width > 600 ? 10 : 5;
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
  /** Where the scale ends, if some without a step stand behind it. */
  border?: number;
}

/** What an axis says: of tokens, of steps, and where there are names alone. */
export type AxisLabels = Readonly<Record<"tokens" | "step" | "name", string>>;

/** Points as a line goes through them: not over the border of an axis, nor behind it. */
export function connected<P extends Point>(points: readonly P[], border = Infinity): Point[] {
  return points.flatMap((point) => (point.x > border ? [{ x: point.x, y: NaN }, point] : [point]));
}

/**
 * Over tokens where it is known of all how many, else over steps, else one after the other. Some whose names have no number ("final")
 * stand behind the others, beyond a border.
 */
export function seriesAxis(places: readonly Placed[], labels: AxisLabels): SeriesAxis {
  const keys = ["tokens", "step"] as const;
  const known = (key: "tokens" | "step") =>
    places.flatMap(({ [key]: value }) => (value === null ? [] : [value]));
  for (const key of keys) {
    const values = known(key);
    if (values.length === places.length && distinct(values))
      return { xs: values, axis: (size) => valueAxis(values, labels[key], size) };
  }
  for (const key of keys) {
    const values = known(key);
    const others = places.length - values.length;
    if (values.length > 1 && distinct(values) && others > 0 && others <= mostAside)
      return asideAxis(places, values, { key, label: labels[key] });
  }
  return placeAxis(places, labels);
}

const mostAside = 3;
const distinct = (values: readonly number[]) => new Set(values).size === values.length;

function valueAxis(values: readonly number[], label: string, { width }: Size): Axis {
  return { ...scale(values, { whole: true, log: false, count: width > 600 ? 9 : 4 }), label };
}

/** Those with a number at its place, then a border and the others side by side, by name. */
function asideAxis(
  places: readonly Placed[],
  values: readonly number[],
  { key, label }: { key: "tokens" | "step"; label: string },
): SeriesAxis {
  const { domain } = scale(values, { tight: true, log: false });
  const [first, last] = domain;
  const aside = places.filter((place) => place[key] === null);
  const names = aside.map(({ name }) => shortName(name));
  // As far apart as their names need on the narrowest of figures.
  const widest = Math.max(...names.map((name) => textWidth(name, sizes.text))) + 16;
  const room = Math.min(0.6, (aside.length * widest) / narrowPlot);
  const gap = ((last - first) * room) / (1 - room) / aside.length;
  const border = last + gap * 0.5;
  const found = new Map(aside.map((place, i) => [place, last + gap * (i + 1)]));
  return {
    xs: places.map((place) => found.get(place) ?? (place[key] as number)),
    border,
    axis(size) {
      const axis = valueAxis(values, label, size);
      const named = new Map([...found.values()].map((x, i) => [x, names[i] as string]));
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
const narrowPlot = 250;

const shortName = (name: string) => (name.length > 14 ? `…${name.slice(-13)}` : name);

/** One after the other, by their number or else by name. */
export function placeAxis(places: readonly Placed[], labels: AxisLabels): SeriesAxis {
  const key = (["tokens", "step"] as const).find((key) => places.some((place) => place[key] !== null));
  const texts = places.map(({ name, step, tokens }) => {
    const value = tokens ?? step;
    return value === null ? name : numberText(value);
  });
  return namesAxis(texts, labels[key ?? "name"]);
}

/** One after the other, each with its name, or as many as have room. */
export function namesAxis(names: readonly string[], label: string): SeriesAxis {
  const texts = names.map(shortName);
  const longest = [...texts].sort((a, b) => b.length - a.length).slice(0, 20);
  const widest = Math.max(...longest.map((text) => textWidth(text, sizes.text)));
  const xs = names.map((_, i) => i);
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
        label,
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
export function thin<P extends Point>(points: readonly P[]): P[] {
  if (points.length <= mostPoints) return [...points];
  return stretches(points, mostPoints / 2).flatMap(({ low, high }) =>
    low === high ? [low] : [low, high].sort((a, b) => a.x - b.x),
  );
}

/** From the lowest to the highest value in each of so many stretches of a series: a band, for a haze of points. */
export function ranges(points: readonly Point[], count: number): { x: number; low: number; high: number }[] {
  return stretches(points, count).map(({ low, high, middle }) => ({ x: middle, low: low.y, high: high.y }));
}

function stretches<P extends Point>(points: readonly P[], count: number) {
  const start = (i: number) => Math.floor((i * points.length) / count);
  return Array.from({ length: count }, (_, i) => {
    const all = points.slice(start(i), start(i + 1)) as [P, ...P[]];
    const finite = all.filter(({ y }) => Number.isFinite(y)) as [P, ...P[]];
    const part = finite.length > 0 ? finite : all;
    const last = all[all.length - 1] as P;
    return {
      low: part.reduce((a, b) => (b.y < a.y ? b : a)),
      high: part.reduce((a, b) => (b.y > a.y ? b : a)),
      middle: (all[0].x + last.x) / 2,
    };
  });
}
