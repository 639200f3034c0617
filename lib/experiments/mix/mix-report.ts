import {
  counted,
  csvText,
  integerText,
  type PageTable,
  prose,
  type ReportContent,
} from "../../report/index.js";
import { runFiles, type StoredRun } from "../../runs/index.js";
import { describeData, describeOptimizer, describeSequences, provenanceRows } from "../describe.js";
import type { MixConfiguration } from "./mix-configuration.js";
import { mixFigures } from "./mix-figures.js";
import type { mixRecords } from "./mix-records.js";
import { gather, type MixRecords } from "./mix-records.js";
import { ratiosText } from "./recommendation.js";

/** What the report of a mix shows. */
export async function mixReport(
  stored: StoredRun<MixConfiguration, typeof mixRecords>,
): Promise<ReportContent> {
  const mix = await gather(stored);
  const { recommendation, verdict, configuration } = mix;
  return {
    title: `How much of "${configuration.vary}" the mix needs`,
    lead: [recommendation.sentence, ...(verdict ? [verdict.sentence] : [])].join(" "),
    figures: mixFigures(mix),
    tables: [
      { heading: "λc by ratio and task", ...sharpnessTable(mix) },
      { heading: "Recommendation", rows: recommendationRows(mix) },
      { heading: "Measurement", rows: measurementRows(mix) },
    ],
    csv: mixCsv(mix),
    links: [
      { file: "metrics.csv", text: "a line for each repeat, ratio and task, and for all repeats together" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  };
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

const columns = [
  "repeat",
  "ratio",
  "task",
  "status",
  "criticalLearningRate",
  "criticalSharpness",
  "low",
  "high",
  "slope",
  "slopeStandardError",
  "nonDescent",
  "unbounded",
  "unresolved",
  "forwardPasses",
] as const;

/**
 * A mix as comma-separated values: a line for each repeat, ratio and task, and one, its repeat "all", for what they say
 * together, with the interval of λc. Infinite ones are written as Infinity, unresolved ones are empty.
 */
export function mixCsv({ lines, points }: Pick<MixRecords, "lines" | "points">): Iterable<string> {
  const empty = Object.fromEntries(columns.map((name) => [name, null])) as Record<
    (typeof columns)[number],
    null
  >;
  return csvText(columns, function* () {
    for (const { repeat, ratio, task, measurement } of lines) {
      const { status, criticalLearningRate, criticalSharpness, slope, forwardPasses } = measurement;
      yield {
        ...empty,
        ...{ repeat, ratio, task, status, slope, forwardPasses },
        criticalLearningRate: status === "unbounded" ? Infinity : criticalLearningRate,
        criticalSharpness: status === "non-descent" ? Infinity : criticalSharpness,
      };
    }
    for (const { interval, slope, count: _, ...point } of points)
      yield {
        ...empty,
        ...point,
        repeat: "all",
        low: interval?.[0],
        high: interval?.[1],
        slope: slope.mean,
        slopeStandardError: slope.standardError,
      };
  });
}
