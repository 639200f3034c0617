import type { Figure, Point } from "../../report/index.js";
import { heatMapFigure, namesAxis } from "../../report/index.js";
import { changeMapFigure } from "./change-map.js";
import type { MixPoint } from "./estimate.js";
import { mixSharpnessFigure } from "./sharpness-figure.js";
import type { MixRecords } from "./stored.js";

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
