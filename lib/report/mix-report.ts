import { runFiles } from "../experiments/run-directory.js";
import { describeData, describeOptimizer, describeSequences } from "./describe.js";
import { mixCsv } from "./mix-csv.js";
import { mixFigures } from "./mix-figures.js";
import { type MixRecords, readMixRun } from "./mix-records.js";
import { counted, integerText, prose } from "./numbers.js";
import { type PageFigure, type PageTable, page } from "./page.js";
import { provenanceRows } from "./provenance.js";
import { type Report, writeReportFiles } from "./report-files.js";

/** Writes the report of a mix, see `writeReport`. */
export async function writeMixReport(directory: string): Promise<Report> {
  const mix = await readMixRun(directory);
  return writeReportFiles(directory, {
    figures: mixFigures(mix),
    csv: mixCsv(mix),
    page: (figures) => mixPage(mix, figures),
  });
}

function mixPage(mix: MixRecords, figures: readonly PageFigure[]): string {
  const { recommendation, verdict, configuration } = mix;
  return page({
    title: `How much of "${configuration.vary}" the mix needs`,
    lead: [recommendation.sentence, ...(verdict ? [verdict.sentence] : [])].join(" "),
    figures,
    tables: [
      { heading: "λc by ratio and task", ...sharpnessTable(mix) },
      { heading: "Recommendation", rows: recommendationRows(mix) },
      { heading: "Measurement", rows: measurementRows(mix) },
    ],
    links: [
      { file: "metrics.csv", text: "a line for each repeat, ratio and task, and for all repeats together" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  });
}

function sharpnessTable({ points }: MixRecords): Pick<PageTable, "columns" | "rows"> {
  const tasks = [...new Set(points.map(({ task }) => task))];
  const ratios = [...new Set(points.map(({ ratio }) => ratio))];
  const cell = (ratio: number, task: string) => {
    const point = points.find((p) => p.ratio === ratio && p.task === task);
    if (!point) return "–";
    const { status, criticalSharpness, interval, nonDescent, count } = point;
    const range = interval ? ` (${prose(interval[0])} to ${prose(interval[1])})` : "";
    const some = nonDescent > 0 ? `, ${nonDescent} of ${count} non-descent` : "";
    const value = status === "non-descent" ? "∞, non-descent" : `λc ${prose(criticalSharpness)}`;
    return `${value}${range}${some}`;
  };
  return {
    columns: ["ratio", ...tasks],
    rows: ratios.map((ratio) => [prose(ratio), ...tasks.map((task) => cell(ratio, task))]),
  };
}

function recommendationRows({ recommendation, verdict }: MixRecords): string[][] {
  const { ratio, interval, task, criticalSharpness, criticalLearningRate, crossing, support } =
    recommendation;
  return [
    ["Ratio", ratio === null ? "none" : prose(ratio)],
    ...(interval ? [["95 % interval", `${prose(interval[0])} to ${prose(interval[1])}`]] : []),
    ...(ratio === null
      ? []
      : [
          [
            "Largest learning rate in the basin",
            `${prose(criticalLearningRate)}: 2/λc of ${task}, λc ${prose(criticalSharpness)}`,
          ],
        ]),
    ...(crossing ? [["Crossing", `${crossing.tasks.join(" and ")} at ${prose(crossing.ratio)}`]] : []),
    [
      "Best in resamples",
      support
        .filter(({ part }) => part > 0)
        .map(({ ratio, part }) => `${prose(ratio)}: ${Math.round(100 * part)} %`)
        .join(", ") || "–",
    ],
    ...(verdict
      ? [
          ["Training", verdict.held === null ? "does not tell" : verdict.held ? "agrees" : "does not agree"],
          [
            "Largest safe learning rate",
            verdict.safe
              .map(({ ratio, learningRate }) => `${prose(ratio)}: ${prose(learningRate)}`)
              .join(", "),
          ],
        ]
      : []),
  ];
}

function measurementRows(mix: MixRecords): string[][] {
  const { configuration, repeats } = mix;
  const { model, sources, vary, tasks, batch, optimizer, weightDecay, accumulate } = configuration;
  const sum = (of: (cost: MixRecords["repeats"][number]) => number) =>
    repeats.reduce((total, cost) => total + of(cost), 0);
  const decay = weightDecay || optimizer.weightDecay === 0 ? "" : ", its decay left out of Δ";
  return [
    ["Model", model],
    ...Object.entries(sources).map(([name, { data, share }]) => [
      `Source ${name}`,
      `${describeData(data)}${name === vary ? ", varied" : `, share ${prose(share)}`}`,
    ]),
    ...Object.entries(tasks).map(([name, { data }]) => [`Task ${name}`, describeData(data)]),
    ["Batch", describeSequences(batch)],
    ["Δ", `${describeOptimizer(optimizer)}${decay}, ${counted(accumulate, "gradient")} in its moments`],
    ["Repeats", integerText(repeats.length)],
    [
      "Cost",
      `${counted(
        sum((c) => c.updatePasses),
        "backward pass",
        "backward passes",
      )} for the mixtures, ` +
        `${integerText(sum((c) => c.evaluatePasses))} for the tasks' slopes (${prose(sum((c) => c.backwardSeconds))} s); ` +
        `${counted(
          sum((c) => c.forwardPasses),
          "forward pass",
          "forward passes",
        )} (${prose(sum((c) => c.forwardSeconds))} s)`,
    ],
    ...provenanceRows(mix),
  ];
}
