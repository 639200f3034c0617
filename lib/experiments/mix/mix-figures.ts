import * as Plot from "@observablehq/plot";
import {
  colors,
  counted,
  drawChart,
  edgeRoom,
  type Figure,
  heatCells,
  heatMapFigure,
  type LegendItem,
  line,
  type Mark,
  namesAxis,
  numberText,
  type Point,
  prose,
  quantile,
  scale,
  unresolvedLegend,
  unresolvedMarks,
} from "../../report/index.js";
import type { MixPoint } from "./mix-estimate.js";
import type { MixRecords } from "./mix-records.js";
import { mixSharpnessFigure } from "./sharpness-figure.js";

/** The figures of a mix: those for which it has data. */
export function mixFigures(mix: MixRecords): Figure[] {
  const { points, recommendation, configuration } = mix;
  const { vary } = configuration;
  return [
    mixSharpnessFigure({ points, recommendation, vary }),
    ...changeMaps(mix),
    ...(mix.pairs.length > 0 ? [taskMatrix(mix)] : []),
  ];
}

function changeMaps({ cells, points, configuration: { vary } }: MixRecords): Figure[] {
  const [first] = cells;
  if (!first) return [];
  const { steps } = first.setup;
  const rate = ({ criticalLearningRate, status }: MixPoint) =>
    status === "unresolved" ? NaN : criticalLearningRate;
  const tasks = Object.keys(first.tasks).map((task) =>
    changeMapFigure({
      name: `loss-change-${task}`,
      what: `loss of ${task}`,
      better: "less",
      cells: cells.map(({ ratio, learningRate, tasks }) => {
        const { before, after } = tasks[task] as { before: number; after: number | null };
        return { ratio, learningRate, change: after === null ? NaN : after - before };
      }),
      steps,
      basin: points.filter((point) => point.task === task).map((p) => ({ x: p.ratio, y: rate(p) })),
      basinName: `ηc of ${task}`,
      vary,
    }),
  );
  const ratios = [...new Set(points.map(({ ratio }) => ratio))];
  const worst: Point[] = ratios.map((ratio) => ({
    x: ratio,
    y: Math.min(...points.filter((p) => p.ratio === ratio).map(rate)),
  }));
  const choices = Object.keys(first.choices).map((name) =>
    changeMapFigure({
      name: `accuracy-change-${name}`,
      what: `accuracy on ${name}`,
      better: "more",
      cells: cells.map(({ ratio, learningRate, choices }) => {
        const { before, after } = choices[name] as { before: number; after: number };
        return { ratio, learningRate, change: after - before };
      }),
      steps,
      basin: worst,
      basinName: "ηc of all tasks",
      vary,
    }),
  );
  return [...tasks, ...choices];
}

function taskMatrix({ pairs }: MixRecords): Figure {
  const names = [...new Set(pairs.map(({ evaluate }) => evaluate))];
  const value = (update: string, evaluate: string) => {
    const found = pairs.find((p) => p.update === update && p.evaluate === evaluate)?.measurement;
    if (!found || found.status === "unresolved") return NaN;
    return found.criticalSharpness ?? Infinity;
  };
  return heatMapFigure({
    name: "task-matrix",
    title: "Critical sharpness of each task along each one's gradient",
    caption:
      "λc of the task of a column along the plain gradient of the task of a row, on one held-out batch each, coloured by its " +
      "logarithm: dark where a step may go far. Grey: the gradient of the one raises the loss of the other.",
    rows: names.map((name) => `along ${name}`),
    columns: names,
    values: names.map((update) => names.map((evaluate) => value(update, evaluate))),
    axis: namesAxis(names, "loss of").axis,
  });
}

export interface ChangeMapData {
  name: string;
  /** What changed: "loss of stories", "accuracy of mmlu". */
  what: string;
  /** Whether more of it is better. */
  better: "more" | "less";
  /** The change at each ratio and learning rate; NaN where it was not finite. */
  cells: readonly { ratio: number; learningRate: number; change: number }[];
  steps: number;
  /** ηc over the ratio, of the task itself or, for an accuracy, of the worst task; 0 where Δ does not descend, NaN where unresolved. */
  basin: readonly Point[];
  basinName: string;
  vary: string;
}

/** Far from both of them in lightness too. */
const notFinite = "#b5125a";

/** What training at each ratio and learning rate changed. */
export function changeMapFigure(data: ChangeMapData): Figure {
  const { name, what, better, cells, steps, basin, basinName, vary } = data;
  const ratios = sorted(cells.map(({ ratio }) => ratio));
  const rates = sorted(cells.map(({ learningRate }) => learningRate));
  const sizes = cells.map(({ change }) => Math.abs(change)).filter(Number.isFinite);
  const largest = quantile(sizes, 0.9) || Math.max(...sizes, 0);
  const sign = better === "less" ? 1 : -1;
  const [xs, ys] = [borders(ratios, false), borders(rates, true)];
  const gains = cells.filter(({ change }) => sign * change < 0).length;
  const unresolved = basin.filter(({ y }) => Number.isNaN(y)).map(({ x }) => x);
  const title = `Change of the ${what}`;
  const x = scale([xs[0] as number, xs.at(-1) as number], { log: false, tight: true, count: 8 });
  const y = logFrame(ys, rates);
  const heat = cells.map(({ ratio, learningRate, change }) => {
    const [c, r] = [ratios.indexOf(ratio), rates.indexOf(learningRate)];
    return {
      x: [xs[c] as number, xs[c + 1] as number] as const,
      y: [ys[r] as number, ys[r + 1] as number] as const,
      ...shade((sign * change) / (largest || 1)),
      text: Number.isFinite(change) ? signed(change) : "∞",
      title: `ratio ${prose(ratio)}, η ${prose(learningRate)}: ${signed(change)}`,
    };
  });
  const chart = {
    title,
    subtitle: `after ${counted(steps, "step")}  ·  better in ${gains} of ${cells.length} trainings`,
    legend: [
      ...legendItems(largest, sign, { basinName, some: sizes.length < cells.length }),
      ...unresolvedLegend(unresolved.length, colors.ink),
    ],
    insetBottom: unresolved.length > 0 ? edgeRoom : 0,
    x: { ...x, label: `ratio of ${vary} in the mixture` },
    y: { ...y, label: "learning rate η" },
    marks: (frame: { width: number; height: number }) => [
      ...heatCells(heat, { frame, x: x.domain, y: y.domain, log: true }),
      ...basinMarks(basin, y.domain),
      ...unresolvedMarks(unresolved, {
        color: colors.ink,
        title: (ratio) => `ratio ${prose(ratio)}: ηc unresolved`,
      }),
    ],
  };
  return {
    name,
    title,
    caption:
      `The ${what} after ${counted(steps, "step")} of training from the checkpoint, less that before: blue is better, orange worse, ` +
      `shaded by the third root. The line is ${basinName} as it was measured before any training; where it runs along the lower border, ` +
      `ηc is smaller than all that was trained at, or the update does not descend.${unresolved.length > 0 ? " Rings: it is unresolved." : ""}`,
    draw: (size) => drawChart(chart, size),
    table: {
      columns: ["learning rate", ...ratios.map((ratio) => `ratio ${prose(ratio)}`)],
      rows: rates.map((rate) => [
        prose(rate),
        ...ratios.map((ratio) => {
          const cell = cells.find((found) => found.ratio === ratio && found.learningRate === rate);
          return cell ? signed(cell.change) : "–";
        }),
      ]),
    },
  };
}

const signed = (change: number) =>
  Number.isFinite(change) ? `${change > 0 ? "+" : ""}${prose(change, 2)}` : "not finite";

/** Losses grow far beyond what they can fall by: the third root shows both. */
function shade(part: number): { color: string; strength: number } {
  if (!Number.isFinite(part)) return { color: notFinite, strength: 1 };
  return { color: part > 0 ? colors.worse : colors.better, strength: Math.min(1, Math.cbrt(Math.abs(part))) };
}

/** The line within the picture; where it is below, along the lower edge. */
function basinMarks(basin: readonly Point[], [low, high]: readonly [number, number]): Mark[] {
  const shown = basin.map(({ x, y }) => ({ x, y: Math.min(Math.max(y, low), high) }));
  return [
    ...line(shown, { color: colors.background, width: 5, className: "basin-halo" }),
    ...line(shown, { color: colors.ink, width: 2, className: "basin" }),
    Plot.dot(
      basin.filter(({ y }) => y >= low && y <= high),
      { x: "x", y: "y", r: 3.5, fill: colors.ink, stroke: colors.background, className: "basin-points" },
    ),
  ];
}

function legendItems(
  largest: number,
  sign: number,
  { basinName, some }: { basinName: string; some: boolean },
): LegendItem[] {
  const items: LegendItem[] = (largest > 0 ? [-1, -0.01, 0, 0.01, 1] : [0]).map((part) => {
    const { color, strength } = shade(part);
    return part === 0
      ? { glyph: "outlined-bar", color: colors.background, text: "0" }
      : { glyph: "outlined-bar", color, opacity: strength, text: signed(part * sign * largest) };
  });
  if (some) items.push({ glyph: "bar", color: notFinite, text: "∞ not finite" });
  return [...items, { glyph: "line", color: colors.ink, text: basinName }];
}

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
