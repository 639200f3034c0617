import * as Plot from "@observablehq/plot";
import type { Mark } from "../chart.js";
import { colors } from "../style.js";

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
