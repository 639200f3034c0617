import type { Axis } from "./chart.js";
import { numberText } from "./numbers.js";
import { scale } from "./scales.js";
import type { MeasuredCheckpoint } from "./series-records.js";
import type { Point } from "./statistics.js";
import { type Size, sizes } from "./style.js";
import { textWidth } from "./text-width.js";

/** Where each checkpoint stands on the horizontal axis, and what the axis says. */
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
export function seriesAxis(checkpoints: readonly MeasuredCheckpoint[]): SeriesAxis {
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
  checkpoints: readonly MeasuredCheckpoint[],
  { width }: Size,
): Axis {
  return {
    ...scale(values, { whole: true, log: false, count: width > 600 ? 9 : 5 }),
    label: axisLabel(key, checkpoints),
  };
}

function axisLabel(key: "tokens" | "step", checkpoints: readonly MeasuredCheckpoint[]): string {
  if (key === "tokens") return "tokens seen";
  const numbered = checkpoints.filter(({ step }) => step !== null);
  const isEpoch = ({ name }: MeasuredCheckpoint) =>
    /epoch/i.test(name) && !/step|iter|checkpoint|ckpt/i.test(name);
  return numbered.every(isEpoch) ? "epoch" : "training step";
}

/** Checkpoints with a number at its place, then a border and the others side by side, by name. */
function asideAxis(
  checkpoints: readonly MeasuredCheckpoint[],
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
  const places = new Map(aside.map(({ directory }, i) => [directory, last + gap * (i + 1)]));
  return {
    xs: checkpoints.map((checkpoint) => places.get(checkpoint.directory) ?? (checkpoint[key] as number)),
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
export function placeAxis(checkpoints: readonly MeasuredCheckpoint[]): SeriesAxis {
  const xs = checkpoints.map((_, i) => i);
  const texts = checkpoints.map(({ name, step, tokens }) => {
    if (tokens !== null || step !== null) return numberText((tokens ?? step) as number);
    return shortName(name);
  });
  const widest = Math.max(...texts.map((text) => textWidth(text, sizes.text)));
  const [{ tokens, step }] = checkpoints as [MeasuredCheckpoint];
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
