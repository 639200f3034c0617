import * as Plot from "@observablehq/plot";
import { CriticalSharpnessError, expected } from "../../errors.js";
import {
  type CurvatureData,
  colors,
  counted,
  csvText,
  curvatureFigure,
  drawChart,
  type EdgeOfStability,
  edgeOfStability,
  type Figure,
  integerText,
  line,
  overThresholds,
  prose,
  type Report,
  type ReportContent,
  relativeCurvatureFigure,
  type Spread,
  scale,
  stepAxis,
  valueAt,
  writeReportFiles,
} from "../../report/index.js";
import { readRun } from "../../runs/index.js";
import { trainKind } from "./index.js";
import { curvatureData } from "./train-figures.js";
import { gather, type RunRecords } from "./train-records.js";
import { trainingRows } from "./train-report.js";

/** Where each run sits relative to its thresholds. */
export interface Comparison extends Report {
  runs: (EdgeOfStability & { directory: string; name: string })[];
}

/**
 * Writes a report that shows training runs beside one another, as the paper's figures 3 and 4 do: the largest eigenvalue
 * of each over its threshold; and of each run λmax, λdir and λc, absolute and over what they are compared with.
 *
 * @param directories of runs that were trained with `hessian` in their configuration
 * @param out where report.html, report.png, metrics.csv and figures/ go
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if one is not a run, has no second derivatives, or `out` cannot be
 * written.
 */
export async function writeComparison(directories: readonly string[], out: string): Promise<Comparison> {
  const { content, compared } = await comparisonContent(directories);
  const report = await writeReportFiles(out, content);
  return {
    ...report,
    runs: compared.map(({ name, edge }, i) => ({ directory: directories[i] as string, name, ...edge })),
  };
}

/** What the report of a comparison shows, and of which runs. @throws as `writeComparison`. */
export async function comparisonContent(
  directories: readonly string[],
): Promise<{ content: ReportContent; compared: ComparedRun[] }> {
  if (directories.length === 0) throw expected("at least one run directory", "directories", directories);
  const runs: RunRecords[] = [];
  for (const directory of directories) {
    const run = await gather(await readRun(trainKind, directory));
    if (run.curvatures.length === 0)
      throw new CriticalSharpnessError(
        "ERR_RUN_DIRECTORY",
        `Expected a run with second derivatives for the comparison but received "${directory}", which has none. Train it with --hessian-every N`,
      );
    runs.push(run);
  }
  const names = runNames(runs.map(({ configuration }) => configuration));
  const compared = runs.map((run, i): ComparedRun => {
    const data = curvatureData(run);
    return { name: names[i] as string, data, edge: edgeOfStability(data) };
  });
  const figures = [
    edgeComparisonFigure(compared),
    ...compared.flatMap(({ name, data }, i) => [
      { ...curvatureFigure(data, name), name: `run-${i + 1}` },
      { ...relativeCurvatureFigure(data, `${name}: over the threshold`), name: `run-${i + 1}-relative` },
    ]),
  ];
  const content = { figures, csv: comparisonCsv(compared), ...comparisonPage(runs, compared) };
  return { content, compared };
}

function comparisonPage(
  runs: readonly RunRecords[],
  compared: readonly ComparedRun[],
): Omit<ReportContent, "figures" | "csv"> {
  return {
    title: "Training runs beside one another",
    lead:
      "At the edge of stability the largest eigenvalue stays near the threshold of its optimizer, and λc near 2/η. Medians " +
      "are those of the second half of the steps at the highest learning rate.",
    tables: [
      {
        heading: "At the edge of stability",
        columns: ["run", "reached at step", "then, in steps", "λmax ÷ threshold", "λdir · η/2", "λc · η/2"],
        rows: compared.map(({ name, data, edge }) => [
          name,
          edge.reached === null ? "never" : integerText(edge.reached),
          `${integerText(edge.from)}–${integerText(edge.to)}`,
          spread(edge.largest) +
            leftOut(
              data.largest.filter(({ converged }) => !converged),
              edge,
              "not converged",
            ),
          spread(edge.directional),
          spread(edge.critical) +
            leftOut(
              data.unresolved.map((x) => ({ x })),
              edge,
              "unresolved",
            ),
        ]),
      },
      ...runs.map((run, i) => ({
        heading: (compared[i] as ComparedRun).name,
        rows: trainingRows(run, undefined),
      })),
    ],
    links: [
      { file: "metrics.csv", text: "every second derivative with its threshold" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  };
}

function spread(found: Spread | null): string {
  if (!found) return "–";
  const { median, low, high, count } = found;
  return `${prose(median)} (quartiles ${prose(low)} and ${prose(high)} of ${counted(count, "value")})`;
}

/** How many between the steps of which the median is told have a mark, and not a number as good as the others. */
function leftOut(points: readonly { x: number }[], { from, to }: EdgeOfStability, what: string): string {
  const { length } = points.filter(({ x }) => x >= from && x <= to);
  return length > 0 ? `, ${integerText(length)} ${what}` : "";
}

const columns = ["run", "step", "what", "value", "threshold"] as const;

/** Runs as comma-separated values: a line for each λmax, λdir and λc, with what it is compared with. */
export function comparisonCsv(runs: readonly ComparedRun[]): Iterable<string> {
  const rowsOf = ({ name, data }: ComparedRun) => {
    return (
      [
        [data.name, data.largest, data.threshold],
        ["λdir", data.directional, data.stepThreshold],
        ["λc", data.critical, data.stepThreshold],
      ] as const
    ).flatMap(([what, points, thresholds]) =>
      points.map(({ x, y }) => ({ run: name, step: x, what, value: y, threshold: valueAt(thresholds, x) })),
    );
  };
  return csvText(columns, () => runs.flatMap(rowsOf));
}

/** Settings in the field's words; others go by their place in the configuration. */
const words: Record<string, (value: unknown) => string> = {
  "optimizer.learningRate": (value) => `η = ${prose(value as number)}`,
  "batch.size": (value) => `batch of ${integerText(value as number)}`,
  "optimizer.type": String,
  "schedule.type": (value) => `${value} schedule`,
  seed: (value) => `seed ${value}`,
};

/** Names for runs, from the settings in which they differ; numbers where they differ in none. */
export function runNames(configurations: readonly object[]): string[] {
  const settings = configurations.map((configuration) => new Map(leaves(configuration, "")));
  const places = [...new Set(settings.flatMap((setting) => [...setting.keys()]))];
  const differing = places.filter(
    (place) => new Set(settings.map((setting) => JSON.stringify(setting.get(place)))).size > 1,
  );
  const names = settings.map((setting) =>
    differing
      .map((place) => {
        const value = setting.get(place);
        return value === undefined ? `no ${place}` : (words[place]?.(value) ?? `${place} ${value}`);
      })
      .join(", "),
  );
  return names.map((name, i) => name || `run ${i + 1}`);
}

/** Every setting with its place: "optimizer.learningRate". Arrays are one setting. */
function* leaves(value: unknown, place: string): Generator<[string, unknown]> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    yield [place, Array.isArray(value) ? value.join(", ") : value];
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* leaves(inner, place ? `${place}.${key}` : key);
}

export interface ComparedRun {
  name: string;
  data: CurvatureData;
  edge: EdgeOfStability;
}

const hues = [colors.blue, colors.green, colors.purple, colors.sky, colors.ink, colors.muted];

/** The largest eigenvalue of several runs, each over its own threshold. */
export function edgeComparisonFigure(runs: readonly ComparedRun[]): Figure {
  const series = runs.map(({ name, data }, i) => ({
    name,
    color: hues[i % hues.length] as string,
    largest: overThresholds(data).largest,
  }));
  const shown = series.flatMap(({ largest }) => largest);
  const [first] = runs as [ComparedRun];
  const title = `${first.data.name} over its threshold`;
  const medians = runs.map(({ name, edge }) => `${name}: ${prose(edge.largest?.median)}`);
  const chart = {
    title,
    subtitle: `median of the second half of the steps at the highest η: ${medians.join("  ·  ")}`,
    legend: series.map(({ name, color }) => ({ glyph: "line" as const, color, text: name })),
    y: {
      ...scale([...shown.map(({ y }) => y), 1], { log: true }),
      label: "sharpness ÷ threshold",
    },
    marks: [
      Plot.ruleY([1], { stroke: colors.vermillion, strokeWidth: 2, className: "threshold" }),
      ...series.flatMap(({ largest, color }, i) => [
        ...line(largest, { color, width: 1.5, className: `largest-${i + 1}` }),
        Plot.dot(
          largest.filter(({ converged }) => !converged),
          { x: "x", y: "y", r: 3, fill: colors.background, stroke: color, className: "not-converged" },
        ),
      ]),
    ],
  };
  const steps = shown.map(({ x }) => x);
  return {
    name: "edge-of-stability",
    title,
    caption: `${first.data.name} of each run, divided by ${first.data.thresholdName ?? "its threshold"}: 1 is the edge of stability.`,
    draw: (size) => drawChart({ ...chart, x: stepAxis(steps, size) }, size),
  };
}
