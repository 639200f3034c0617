import { ratiosText } from "../experiments/mix-recommendation.js";
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
    const { status, criticalSharpness, interval, count } = point;
    const range = interval ? ` (${prose(interval[0])} to ${prose(interval[1])})` : "";
    const names = { nonDescent: "non-descent", unbounded: "unbounded", unresolved: "unresolved" } as const;
    const some = Object.entries(names)
      .filter(([key]) => point[key as keyof typeof names] > 0)
      .map(([key, name]) => `, ${point[key as keyof typeof names]} of ${count} ${name}`)
      .join("");
    const value =
      status === "non-descent"
        ? "∞, non-descent"
        : status === "unresolved"
          ? "unresolved"
          : `λc ${prose(criticalSharpness)}`;
    return `${value}${range}${some}`;
  };
  return {
    columns: ["ratio", ...tasks],
    rows: ratios.map((ratio) => [prose(ratio), ...tasks.map((task) => cell(ratio, task))]),
  };
}

function recommendationRows({ recommendation, verdict }: MixRecords): string[][] {
  const { ratio, ratios, decided, task, criticalSharpness, criticalLearningRate, crossing, pValues } =
    recommendation;
  const all = pValues.map((p) => p.ratio);
  const known = pValues.filter(({ pValue }) => pValue !== null);
  return [
    ["Ratio, in the mean", ratio === null ? "none" : prose(ratio)],
    [
      "The best is among",
      decided ? `${ratiosText(ratios, all)} (95 % confidence)` : `${ratiosText(ratios, all)}: not decided`,
    ],
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
      "Probability of looking so much worse by chance (out at 2.5 %)",
      known.map(({ ratio, pValue }) => `${prose(ratio)}: ${prose(pValue)}`).join(", ") || "–",
    ],
    ...(verdict
      ? [
          ["Training", verdict.held === null ? "does not tell" : verdict.held ? "agrees" : "does not agree"],
          [
            "Largest learning rate without a rise",
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
      )} over ${integerText(sum((c) => c.updateRows))} sequences for the mixtures, ` +
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
