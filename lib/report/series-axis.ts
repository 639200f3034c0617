import type { Axis } from "./chart.js";
import { numberText } from "./numbers.js";
import { scale } from "./scales.js";
import type { MeasuredCheckpoint } from "./series-records.js";
import { type Size, sizes } from "./style.js";
import { textWidth } from "./text-width.js";

/** Where each checkpoint stands on the horizontal axis, and what the axis says. */
export interface SeriesAxis {
  xs: number[];
  axis(size: Size): Axis;
}

/** Over tokens where all names say how many, else over steps, else one after the other. */
export function seriesAxis(checkpoints: readonly MeasuredCheckpoint[]): SeriesAxis {
  for (const [key, label] of [
    ["tokens", "tokens seen"],
    ["step", "training step"],
  ] as const) {
    const values = checkpoints.map((checkpoint) => checkpoint[key]);
    const known = values.filter((value) => value !== null);
    if (known.length < values.length || new Set(known).size < known.length) continue;
    return {
      xs: known,
      axis: ({ width }) => ({
        ...scale(known, { whole: true, log: false, count: width > 600 ? 9 : 5 }),
        label,
      }),
    };
  }
  return placeAxis(checkpoints);
}

/** One checkpoint after the other, by name. */
export function placeAxis(checkpoints: readonly MeasuredCheckpoint[]): SeriesAxis {
  const xs = checkpoints.map((_, i) => i);
  const texts = checkpoints.map(({ name, step, tokens }) => {
    if (tokens !== null || step !== null) return numberText((tokens ?? step) as number);
    return name.length > 14 ? `…${name.slice(-13)}` : name;
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
        label: tokens !== null ? "tokens seen" : step !== null ? "training step" : "checkpoint",
      };
    },
  };
}
