import {
  askedStepFigure,
  counted,
  csvText,
  type Figure,
  integerText,
  lossFigure,
  prose,
  type ReportContent,
  type StepLine,
  sharpnessFigure,
} from "../../report/index.js";
import { runFiles, type StoredRun } from "../../runs/index.js";
import { describeData, describeModel, provenanceRows } from "../describe.js";
import { statusRows, stepSeries } from "../measured-steps.js";
import { answerOf, type CheckAnswer } from "./answer.js";
import type { CheckConfiguration } from "./check-configuration.js";
import { type CheckBatchRecord, type checkRecords, gather } from "./check-records.js";
import type { CriticalRange } from "./judgement.js";

type Gathered = Awaited<ReturnType<typeof gather>>;

/** What the report of a check shows. */
export async function checkReport(
  stored: StoredRun<CheckConfiguration, typeof checkRecords>,
): Promise<ReportContent> {
  const found = await gather(stored);
  const answer = answerOf(found, found.configuration);
  return {
    title: "Is this learning rate safe?",
    lead: [answer.sentence, ...answer.notes].join(" "),
    figures: figuresOf(found, answer),
    tables: [
      { heading: "Critical learning rate", columns: rangeColumns, rows: rangeRows(answer) },
      {
        heading: "Batch size",
        columns: ["rows", "λc", "ηc", "lines"],
        rows: answer.batchSizes.map(({ rows, criticalSharpness: sharpness, lines }) => [
          integerText(rows),
          prose(sharpness),
          prose(sharpness && 2 / sharpness),
          integerText(lines),
        ]),
      },
      { heading: "Measurement", rows: measurementRows(found, answer) },
      {
        heading: "How the measurements ended",
        rows: statusRows([...found.batches, ...found.joined, ...found.trial]),
      },
    ],
    csv: checkCsv(found),
    links: [
      { file: "metrics.csv", text: "a line for each batch and each step of the trial" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  };
}

function figuresOf({ batches, trial }: Gathered, answer: CheckAnswer): Figure[] {
  const { lower, upper } = answer.batches;
  const series = stepSeries(trial);
  return [
    askedStepFigure({
      lines: batches.map(stepLine),
      learningRate: answer.learningRate,
      lower: lower ?? NaN,
      upper: upper ?? NaN,
      subtitle: answer.sentence,
    }),
    ...(trial.length > 0
      ? [
          sharpnessFigure(series),
          lossFigure({ batches: series.loss, heldOut: [], label: "loss of the trial's batches" }),
        ]
      : []),
  ];
}

/** All that is known of a batch's loss along its Δ, by ascending η. */
function stepLine({ index, loss, measurement, points }: CheckBatchRecord): StepLine {
  const known = new Map(
    [...measurement.evaluations, ...points].map((point) => [point.learningRate, point.loss]),
  );
  return {
    name: `batch ${index + 1}`,
    points: [...known]
      .filter(([x]) => x > 0)
      .sort(([a], [b]) => a - b)
      .map(([x, after]) => ({ x, y: (after ?? NaN) / loss })),
    critical: measurement.criticalLearningRate ?? NaN,
  };
}

const rangeColumns = [
  "of",
  "ηc",
  "lowest",
  "highest",
  "λc·η/2",
  "converged",
  "non-descent",
  "unbounded",
  "unresolved",
];

function rangeRows({ learningRate, batches, heldOut, trial }: CheckAnswer): string[][] {
  const row = (name: string, range: CriticalRange) => [
    name,
    ...[range.criticalLearningRate, range.lower, range.upper].map((value) => prose(value)),
    prose(range.criticalLearningRate && learningRate / range.criticalLearningRate),
    ...[range.converged, range.nonDescent, range.unbounded, range.unresolved].map(integerText),
  ];
  return [
    row("own batch", batches),
    row("another batch", heldOut),
    ...(trial ? [row("second half of the trial", trial)] : []),
  ];
}

function measurementRows(found: Gathered, answer: CheckAnswer): string[][] {
  const { configuration, question } = found;
  const { search, batch, trial } = configuration;
  const moments = {
    stored: `that the run had, ${question.optimizerState}`,
    accumulated: `of ${counted(configuration.accumulate, "batch", "batches")} at frozen weights`,
    none: "none",
  };
  const { gradients, forwardPasses, trainingSteps, seconds } = answer.cost;
  const source = question.learningRateSource === "given" ? "as given" : `of ${question.learningRateSource}`;
  return [
    ["Learning rate", `${prose(answer.learningRate)}, ${source}`],
    ["Model", describeModel(configuration.model)],
    ["Parameters", integerText(question.parameterCount)],
    ["Data", describeData(configuration.data)],
    [
      "Batch",
      `${integerText(batch.size)}${batch.sequence ? ` of ${integerText(batch.sequence)} tokens` : ""}`,
    ],
    ["Optimizer", question.optimizer],
    ["Moments", moments[question.moments]],
    ["Trial", trial === 0 ? "none" : `${counted(trial, "step")} of warm-up, undone`],
    ["Method", `${search.method}, to within ${prose(search.tolerance * 100)} %`],
    [
      "Cost",
      `${integerText(gradients)} gradients and ${integerText(forwardPasses)} forward passes of a batch: ${prose(trainingSteps, 3)} training ` +
        `steps (at most ${integerText(question.expectedSteps)} expected), ${prose(seconds, 3)} s`,
    ],
    ...provenanceRows(found),
  ];
}

const columns = [
  ...["what", "index", "rows", "learningRate", "loss", "gradientNorm", "status", "criticalLearningRate"],
  ...["criticalSharpness", "lower", "upper", "error", "slope", "forwardPasses", "seconds"],
] as const;

/** A line for each batch and each step of the trial. */
function checkCsv({ question, batches, joined, trial }: Gathered): Iterable<string> {
  return csvText(columns, () => [
    ...[...batches, ...joined].map(({ measurement, ...batch }) => ({
      ...measurement,
      ...{ what: "batch", index: batch.index, rows: batch.together * question.rows },
      ...{ learningRate: question.learningRate, loss: batch.loss, gradientNorm: batch.gradientNorm },
    })),
    ...trial.map(({ measurement, step, learningRate, loss, gradientNorm }) => ({
      ...measurement,
      ...{ what: "trial", index: step, rows: question.rows, learningRate, loss, gradientNorm },
    })),
  ]);
}
