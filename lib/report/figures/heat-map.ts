import * as Plot from "@observablehq/plot";
import { drawChart, type LegendItem, type Mark } from "../chart.js";
import { prose } from "../numbers.js";
import type { SeriesAxis } from "../series.js";
import { colors, type Figure } from "../style.js";

export interface HeatMapData {
  name: string;
  title: string;
  caption: string;
  /** Of the rows, from top to bottom. */
  rows: readonly string[];
  /** Of the columns, one for each place on the axis. */
  columns: readonly string[];
  /** By row and column; Infinity where Δ does not descend, NaN where it could not be told. */
  values: readonly (readonly number[])[];
  axis: SeriesAxis["axis"];
}

/** From dark to light, as cividis is: told apart by colour-blind readers and in grey. */
const ramp = ["#00204c", "#1f3c6d", "#575d6d", "#7c7b78", "#a69d75", "#d3c164", "#ffe945"];
const infinite = "#d0d7de";
const unresolved = "#ffffff";

/** Positive values over rows and columns, coloured by their logarithm. */
export function heatMapFigure({ name, title, caption, rows, columns, values, axis }: HeatMapData): Figure {
  const known = values.flat().filter((value) => value > 0 && Number.isFinite(value));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const colorOf = (value: number) => {
    if (Number.isNaN(value)) return unresolved;
    if (value === Infinity) return infinite;
    return mixColors(ramp, value <= 0 || high <= low ? 0 : Math.log(value / low) / Math.log(high / low));
  };
  const cells = values.flatMap((row, r) =>
    row.map((value, c) => ({
      x: c,
      y: rows.length - 1 - r,
      value,
      title: `${rows[r]}, ${columns[c]}: ${Number.isNaN(value) ? "unresolved" : prose(value)}`,
    })),
  );
  const ys = rows.map((_, i) => i);
  const chart = {
    title,
    subtitle: known.length > 0 ? `λc from ${prose(low)} (dark) to ${prose(high)} (light)` : "no finite λc",
    legend: legendItems(low, high, colorOf, values.flat()),
    y: {
      type: "linear" as const,
      domain: [-0.5, rows.length - 0.5] as [number, number],
      ticks: ys,
      minor: [],
      format: (y: number) => rows[rows.length - 1 - y] ?? "",
      label: "",
    },
    marks: [
      heatCells(
        cells.map(({ x, y, value, title }) => ({
          x: [x - 0.5, x + 0.5],
          y: [y - 0.5, y + 0.5],
          color: colorOf(value),
          title,
        })),
      ),
    ],
  };
  return { name, title, caption, draw: (size) => drawChart({ ...chart, x: axis(size) }, size) };
}

/** Five values on the ramp. */
function legendItems(
  low: number,
  high: number,
  colorOf: (value: number) => string,
  values: readonly number[],
): LegendItem[] {
  const count = high > low ? 5 : 1;
  const items: LegendItem[] = Array.from({ length: Number.isFinite(low) ? count : 0 }, (_, i) => {
    const value = low * (high / low) ** (count > 1 ? i / (count - 1) : 0);
    return { glyph: "bar", color: colorOf(value), text: prose(value, 2) };
  });
  if (values.includes(Infinity)) items.push({ glyph: "bar", color: infinite, text: "∞ (non-descent)" });
  if (values.some(Number.isNaN)) items.push({ glyph: "outlined-bar", color: unresolved, text: "unresolved" });
  return items;
}

export interface HeatCell {
  /** Its borders on the axes. */
  x: readonly [from: number, to: number];
  y: readonly [from: number, to: number];
  color: string;
  title: string;
}

/** Rectangles, each in a colour of its own. */
export function heatCells(cells: readonly HeatCell[]): Mark {
  return Plot.rect(cells, {
    x1: ({ x }: HeatCell) => x[0],
    x2: ({ x }: HeatCell) => x[1],
    y1: ({ y }: HeatCell) => y[0],
    y2: ({ y }: HeatCell) => y[1],
    fill: { value: "color", scale: null },
    stroke: colors.background,
    strokeWidth: 0.5,
    title: "title",
    className: "cells",
  });
}

/** A colour of a ramp of "#rrggbb", from 0 to 1. */
export function mixColors(ramp: readonly string[], at: number): string {
  const place = Math.min(Math.max(at, 0), 1) * (ramp.length - 1);
  const left = Math.min(Math.floor(place), ramp.length - 2);
  const channels = [1, 3, 5].map((start) => {
    const [a, b] = [ramp[left], ramp[left + 1]].map((c) =>
      Number.parseInt((c as string).slice(start, start + 2), 16),
    );
    return Math.round((a as number) + ((b as number) - (a as number)) * (place - left));
  });
  return `#${channels.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
}
