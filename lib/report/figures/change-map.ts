import * as Plot from "@observablehq/plot";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { counted, numberText, prose } from "../numbers.js";
import { scale } from "../scales.js";
import { line } from "../series.js";
import type { Point } from "../statistics.js";
import { colors, type Figure } from "../style.js";

import { heatCells, mixColors } from "./heat-map.js";

export interface ChangeMapData {
  name: string;
  /** What changed: "loss of stories", "accuracy of mmlu". */
  what: string;
  /** Whether more of it is better. */
  better: "more" | "less";
  /** The change at each ratio and learning rate; NaN where it was not finite. */
  cells: readonly { ratio: number; learningRate: number; change: number }[];
  steps: number;
  /** ηc over the ratio, of the task itself or, for an accuracy, of the worst task; 0 where Δ does not descend. */
  basin: readonly Point[];
  basinName: string;
  vary: string;
}

/** From gain to loss: blue, white at zero, red (ColorBrewer's RdBu, told apart by colour-blind readers). */
const ramp = ["#2166ac", "#67a9cf", "#d1e5f0", "#ffffff", "#fddbc7", "#ef8a62", "#b2182b"];
const notFinite = "#6e0a1e";

/** What training at each ratio and learning rate changed. */
export function changeMapFigure(data: ChangeMapData): Figure {
  const { name, what, better, cells, steps, basin, basinName, vary } = data;
  const ratios = sorted(cells.map(({ ratio }) => ratio));
  const rates = sorted(cells.map(({ learningRate }) => learningRate));
  const largest = quantile(cells.map(({ change }) => Math.abs(change)).filter(Number.isFinite), 0.9) || 1e-12;
  const sign = better === "less" ? 1 : -1;
  const colorOf = (change: number) =>
    Number.isFinite(change) ? mixColors(ramp, 0.5 + shade((sign * change) / largest) / 2) : notFinite;
  const [xs, ys] = [borders(ratios, false), borders(rates, true)];
  const gains = cells.filter(({ change }) => sign * change < 0).length;
  const title = `Change of the ${what}`;
  const chart = {
    title,
    subtitle: `after ${counted(steps, "step")}  ·  better in ${gains} of ${cells.length} trainings`,
    legend: legendItems(largest, sign, {
      basinName,
      some: cells.some(({ change }) => !Number.isFinite(change)),
    }),
    x: {
      ...scale([xs[0] as number, xs.at(-1) as number], { log: false, tight: true, count: 8 }),
      label: `ratio of ${vary} in the mixture`,
    },
    y: { ...logFrame(ys, rates), label: "learning rate η" },
    marks: [
      heatCells(
        cells.map(({ ratio, learningRate, change }) => {
          const [c, r] = [ratios.indexOf(ratio), rates.indexOf(learningRate)];
          return {
            x: [xs[c] as number, xs[c + 1] as number],
            y: [ys[r] as number, ys[r + 1] as number],
            color: colorOf(change),
            title: `ratio ${prose(ratio)}, η ${prose(learningRate)}: ${prose(change)}`,
          };
        }),
      ),
      ...basinMarks(basin, [ys[0] as number, ys.at(-1) as number]),
    ],
  };
  return {
    name,
    title,
    caption:
      `The ${what} after ${counted(steps, "step")} of training from the checkpoint, less that before: blue is better, red worse, ` +
      `white unchanged, shaded by the third root. The line is ${basinName} as it was measured before any training; where it leaves the picture below, ` +
      "the update does not descend.",
    draw: (size) => drawChart(chart, size),
  };
}

/** The line within the picture; where it is below, along the lower edge. */
function basinMarks(basin: readonly Point[], [low, high]: readonly [number, number]): Mark[] {
  const shown = basin.map(({ x, y }) => ({ x, y: Math.min(Math.max(y, low), high) }));
  return [
    ...line(shown, { color: "#ffffff", width: 5, className: "basin-halo" }),
    ...line(shown, { color: colors.ink, width: 2, className: "basin" }),
    Plot.dot(
      basin.filter(({ y }) => y >= low && y <= high),
      { x: "x", y: "y", r: 3.5, fill: colors.ink, stroke: "white", className: "basin-points" },
    ),
  ];
}

function legendItems(
  largest: number,
  sign: number,
  { basinName, some }: { basinName: string; some: boolean },
): LegendItem[] {
  const items: LegendItem[] = [-1, -0.01, 0, 0.01, 1].map((part) => ({
    glyph: part === 0 ? "outlined-bar" : "bar",
    color: mixColors(ramp, 0.5 + shade(part) / 2),
    text: part === 0 ? "0" : `${part * sign > 0 ? "+" : ""}${prose(part * sign * largest, 2)}`,
  }));
  if (some) items.push({ glyph: "bar", color: notFinite, text: "not finite" });
  return [...items, { glyph: "line", color: colors.ink, text: basinName }];
}

/** Losses grow far beyond what they can fall by: the third root shows both. */
const shade = (part: number) => Math.cbrt(part);

const sorted = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);

/** Between neighbours, and as far beyond the outermost. */
function borders(values: readonly number[], log: boolean): number[] {
  const [to, from] = log ? [Math.log, Math.exp] : [(x: number) => x, (x: number) => x];
  const at = values.map(to);
  const middles = at.slice(1).map((value, i) => (value + (at[i] as number)) / 2);
  const first = at[0] as number;
  const last = at.at(-1) as number;
  const [low = first - 0.5, high = last + 0.5] = [middles[0], middles.at(-1)];
  return [2 * first - low, ...middles, 2 * last - high].map(from);
}

/** Exactly the cells, with a tick for each learning rate. */
function logFrame(ys: readonly number[], rates: readonly number[]) {
  return {
    type: "log" as const,
    domain: [ys[0], ys.at(-1)] as [number, number],
    ticks: [...rates],
    minor: [],
    format: (rate: number) => numberText(Number(rate.toPrecision(2))),
  };
}

function quantile(values: readonly number[], q: number): number {
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.ceil((ordered.length - 1) * q)] ?? 0;
}
