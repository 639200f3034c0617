import * as Plot from "@observablehq/plot";
import { type Axis, drawChart, type LegendItem, type Mark } from "../chart.js";
import { prose } from "../numbers.js";
import type { Table } from "../page.js";
import type { SeriesAxis } from "../series.js";
import { colors, type Figure, type Size, sizes } from "../style.js";
import { shortened, textWidth } from "../typesetting.js";

export interface HeatMapData {
  name: string;
  title: string;
  caption: string;
  /** Of the rows, from top to bottom. */
  rows: readonly string[];
  /** Of the columns, one for each place on the axis. */
  columns: readonly string[];
  /** By row and column. */
  values: readonly (readonly MapValue[])[];
  axis: SeriesAxis["axis"];
}

/** Infinity where Δ does not descend, NaN where it could not be told. */
export type MapValue = number | { value: number; isPartlyUnresolved: boolean };

const numberOf = (cell: MapValue) => (typeof cell === "number" ? cell : cell.value);
const isPartly = (cell: MapValue) => typeof cell !== "number" && cell.isPartlyUnresolved;

/** From dark to light, as cividis is: told apart by colour-blind readers and in grey. */
const ramp = ["#00204c", "#1f3c6d", "#575d6d", "#7c7b78", "#a69d75", "#d3c164", "#ffe945"];
const infinite = "#d0d7de";

/** More columns than a picture has room for: every n-th stands for its neighbours. */
const mostColumns = 150;
const rowHeight = 18;
const mostRows = 60;

/** Positive values over rows and columns, coloured by their logarithm, with their numbers where these have room. */
export function heatMapFigure(data: HeatMapData): Figure {
  const { name, title, caption, rows, columns, values, axis } = data;
  const all = values.flat();
  const known = all.map(numberOf).filter((value) => value > 0 && Number.isFinite(value));
  const low = known.reduce((least, value) => Math.min(least, value), Infinity);
  const high = known.reduce((most, value) => Math.max(most, value), -Infinity);
  const colorOf = (value: number) => {
    if (Number.isNaN(value)) return colors.background;
    if (value === Infinity) return infinite;
    return rampColor(ramp, value <= 0 || high <= low ? 0 : Math.log(value / low) / Math.log(high / low));
  };
  const every = Math.ceil(columns.length / mostColumns);
  const cells = values.flatMap((row, r) =>
    row.flatMap((cell, c): HeatCell[] => {
      if (c % every !== 0) return [];
      const value = numberOf(cell);
      const [x, y] = [c, rows.length - 1 - r];
      const mark = isPartly(cell) && !Number.isNaN(value) ? "*" : "";
      return [
        {
          x: [x - 0.5, Math.min(x + every, columns.length) - 0.5],
          y: [y - 0.5, y + 0.5],
          color: colorOf(value),
          text: Number.isNaN(value) ? "?" : `${prose(value)}${mark}`,
          title: `${rows[r]}, ${columns[c]}: ${cellText(cell)}`,
        },
      ];
    }),
  );
  const chart = {
    title,
    subtitle: known.length > 0 ? `λc from ${prose(low)} (dark) to ${prose(high)} (light)` : "no finite λc",
    legend: legendItems(low, high, colorOf, all),
  };
  return {
    name,
    title,
    caption: every > 1 ? `${caption} Every ${every}th column is shown.` : caption,
    draw(size) {
      const x = axis(size);
      const height = Math.max(size.height, Math.min(rows.length, mostRows) * rowHeight + 150);
      const y = rowAxis(rows, size);
      const marks = (frame: Size) => heatCells(cells, { frame, x: x.domain, y: y.domain });
      return drawChart({ ...chart, x, y, marks }, { ...size, height });
    },
    table: mapTable(data),
  };
}

const cellText = (cell: MapValue) => {
  const value = numberOf(cell);
  if (Number.isNaN(value)) return "unresolved";
  return `${value === Infinity ? "∞, non-descent" : prose(value)}${isPartly(cell) ? ", some unresolved" : ""}`;
};

/** More cells make the page heavy: they are in the table of values for other programs. */
const mostCells = 6000;

function mapTable({ rows, columns, values }: HeatMapData): Table | undefined {
  if (rows.length * columns.length > mostCells) return undefined;
  return {
    columns: ["", ...columns],
    rows: rows.map((row, r) => [row, ...(values[r] ?? []).map(cellText)]),
  };
}

/** The names of rows, shortened to what a picture has room for, or every n-th of very many. */
function rowAxis(rows: readonly string[], { width }: Size): Axis {
  const every = Math.ceil(rows.length / mostRows);
  const texts = rows.map((row) => shortened(row, { width: width * 0.3, size: sizes.text }));
  return {
    type: "linear",
    domain: [-0.5, rows.length - 0.5],
    ticks: rows.map((_, i) => i).filter((i) => (rows.length - 1 - i) % every === 0),
    minor: [],
    format: (y) => texts[rows.length - 1 - y] ?? "",
    label: "",
  };
}

/** Five values on the ramp. */
function legendItems(
  low: number,
  high: number,
  colorOf: (value: number) => string,
  cells: readonly MapValue[],
): LegendItem[] {
  const count = high > low ? 5 : 1;
  const items: LegendItem[] = Array.from({ length: Number.isFinite(low) ? count : 0 }, (_, i) => {
    const value = low * (high / low) ** (count > 1 ? i / (count - 1) : 0);
    return { glyph: "outlined-bar", color: colorOf(value), text: prose(value, 2) };
  });
  const values = cells.map(numberOf);
  if (values.includes(Infinity))
    items.push({ glyph: "outlined-bar", color: infinite, text: "∞ (non-descent)" });
  if (values.some(Number.isNaN))
    items.push({ glyph: "outlined-bar", color: colors.background, text: "? unresolved" });
  if (cells.some((cell) => isPartly(cell) && !Number.isNaN(numberOf(cell))))
    items.push({ glyph: "outlined-bar", color: colors.background, text: "* some batches unresolved" });
  return items;
}

export interface HeatCell {
  /** Its borders on the axes. */
  x: readonly [from: number, to: number];
  y: readonly [from: number, to: number];
  /** "#rrggbb", or one of `colors` of a given strength. */
  color: string;
  strength?: number;
  /** What stands in it, if there is room. */
  text: string;
  title: string;
}

export interface HeatFrame {
  /** In pixels. */
  frame: Size;
  x: readonly [number, number];
  y: readonly [number, number];
  /** Whether the vertical axis is logarithmic. */
  log?: boolean;
}

const inCell = { size: 11.5, room: 5 };

/** Rectangles, each in a colour of its own, with their texts if all of them have room. */
export function heatCells(cells: readonly HeatCell[], { frame, x, y, log = false }: HeatFrame): Mark[] {
  const up = log ? Math.log : (value: number) => value;
  const fits = cells.every(({ x: [left, right], y: [bottom, top], text }) => {
    const width = ((right - left) / (x[1] - x[0])) * frame.width;
    const height = ((up(top) - up(bottom)) / (up(y[1]) - up(y[0]))) * frame.height;
    return height >= inCell.size + 3 && width >= textWidth(text, inCell.size) * 1.1 + inCell.room;
  });
  return [
    // Cells that let something through let through the background, not the grid.
    Plot.frame({ fill: colors.background, ariaLabel: "under" }),
    Plot.rect(cells, {
      x1: ({ x }: HeatCell) => x[0],
      x2: ({ x }: HeatCell) => x[1],
      y1: ({ y }: HeatCell) => y[0],
      y2: ({ y }: HeatCell) => y[1],
      fill: { value: "color", scale: null },
      fillOpacity: { value: ({ strength = 1 }: HeatCell) => strength, scale: null },
      stroke: colors.background,
      strokeWidth: 0.5,
      title: "title",
      className: "cells",
    }),
    fits &&
      Plot.text(cells, {
        x: ({ x }: HeatCell) => (x[0] + x[1]) / 2,
        y: ({ y }: HeatCell) => (log ? Math.sqrt(y[0] * y[1]) : (y[0] + y[1]) / 2),
        text: "text",
        fill: { value: ({ color }: HeatCell) => inkOn(color), scale: null },
        fontSize: inCell.size,
        className: "cell-texts",
      }),
  ];
}

/** Black or white, whichever is read on a colour; on those of the theme, its ink. */
function inkOn(color: string): string {
  if (!color.startsWith("#")) return colors.ink;
  return luminance(color) > 0.179 ? "#000000" : "#ffffff";
}

/** Of sRGB "#rrggbb", as WCAG has it: from 0 to 1. */
export function luminance(color: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** A colour of a ramp of "#rrggbb", from 0 to 1. */
export function rampColor(ramp: readonly string[], at: number): string {
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
