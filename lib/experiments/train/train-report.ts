import path from "node:path";
import { isExampleData } from "../../data/index.js";
import { readSafetensorsHeader } from "../../files/index.js";
import { counted, integerText, mean, median, prose, type ReportContent } from "../../report/index.js";
import { runFiles, type StoredRun } from "../../runs/index.js";
import {
  contextLength,
  describeData,
  describeModel,
  describeOptimizer,
  describeSchedule,
  provenanceRows,
} from "../describe.js";
import { estimateRows, type StatusRow, statusRows } from "../measured-steps.js";
import type { TrainConfiguration } from "./train-configuration.js";
import { csv, runFigures } from "./train-figures.js";
import type { trainRecords } from "./train-records.js";
import { gather, type RunRecords, type RunStep } from "./train-records.js";

export type Row = readonly [label: string, value: string];

const lossText = (step: RunStep | undefined) =>
  Number.isFinite(step?.loss) ? prose(step?.loss, 4) : "not finite";

/** Where a run ended that is not over, or no longer goes on; nothing of one that made all its steps. */
export function unfinished({ configuration, steps, diverged }: RunRecords): string {
  const last = steps.at(-1);
  if (diverged)
    return `The training diverged: ${counted(configuration.steps, "step")} were asked for, and step ${integerText(diverged.step)} had a ${diverged.received}.`;
  if (!last || last.step >= configuration.steps) return "";
  return `${integerText(last.step)} of ${counted(configuration.steps, "step")} were made, the last ${Number.isFinite(last.loss) ? `at a loss of ${lossText(last)}` : "at a loss that is not finite"}.`;
}

/** What was trained, for a table. */
export function trainingRows(run: RunRecords, parameters: number | undefined): Row[] {
  const { configuration, steps, validations } = run;
  const { model, data, optimizer, batch } = configuration;
  const last = steps.at(-1);
  const seen = isExampleData(data) ? "examples" : "tokens";
  const length = batch.sequence ?? contextLength(model);
  const size = length
    ? `${counted(batch.size, "sequence")} of ${integerText(length)} tokens`
    : counted(batch.size, "example");
  const micro = batch.microBatch ? `, ${integerText(batch.microBatch)} at a time` : "";
  return [
    ["Model", describeModel(model)],
    ...(parameters === undefined ? [] : [["Parameters", integerText(parameters)] as const]),
    ["Data", describeData(data)],
    ["Batch", size + micro],
    ["Optimizer", describeOptimizer(optimizer)],
    ["Schedule", describeSchedule(configuration)],
    [
      "Steps",
      `${integerText(last?.step ?? 0)} of ${integerText(configuration.steps)}, ${integerText(last?.tokens ?? 0)} ${seen}`,
    ],
    ["Loss", `${lossText(steps.at(0))} at first, ${lossText(last)} at last`],
    ...(validations.length > 0 ? [["Validation loss", prose(validations.at(-1)?.loss, 4)] as const] : []),
    ...provenanceRows(run),
  ];
}

/** How it was measured, and with which statuses, for tables; empty if nothing was. */
export function measurementRows({ configuration, steps }: RunRecords): { how: Row[]; ends: StatusRow[] } {
  const passes: number[] = [];
  let [bracketed, time, training] = [0, 0, 0];
  for (const { seconds, measurement } of steps) {
    training += seconds;
    if (!measurement) continue;
    passes.push(measurement.forwardPasses);
    time += measurement.seconds;
    if (measurement.firstCrossing === "bracketed") bracketed++;
  }
  const { length } = passes;
  if (length === 0) return { how: [], ends: [] };
  const { measure } = configuration;
  const how: Row[] = [
    ["Measurements", integerText(length)],
    ...(measure
      ? [["Method", `${measure.method}, to within ${prose(measure.tolerance * 100)} %`] as const]
      : []),
    ["Forward passes", `median ${prose(median(passes))}, mean ${prose(mean(passes))}`],
    [
      "Time",
      `${prose(time / length)} s each, ${prose((100 * time) / (training + time), 2)} % of training and measuring`,
    ],
    [
      "First crossing",
      `looked below in ${integerText(length - bracketed)} (no rise at ηc/4 and ηc/16 either), not in ${integerText(bracketed)}`,
    ],
    ...estimateRows(steps),
  ];
  return {
    how,
    ends: statusRows(steps),
  };
}

/** Number of weights of a run's model, from its checkpoint; a tied one counts once. Undefined before the first. */
export async function parameterCount(directory: string): Promise<number | undefined> {
  const file = path.join(directory, runFiles.checkpoint, "model.safetensors");
  const header = await readSafetensorsHeader(file).catch(() => undefined);
  if (!header) return undefined;
  let count = 0;
  for (const { shape } of header.tensors.values()) count += shape.reduce((n, size) => n * size, 1);
  return count;
}

/** What the report of a training run shows. */
export async function trainReport(
  stored: StoredRun<TrainConfiguration, typeof trainRecords>,
): Promise<ReportContent> {
  const run = await gather(stored);
  const { how, ends } = measurementRows(run);
  return {
    title: "Critical sharpness of a training run",
    lead: [
      unfinished(run),
      "The critical learning rate ηc is how far a step could go along its update before the loss of its batch rises above " +
        "where it began; the critical sharpness is λc = 2/ηc.",
    ]
      .join(" ")
      .trim(),
    figures: runFigures(run),
    tables: [
      { heading: "Training", rows: trainingRows(run, await parameterCount(stored.directory)) },
      ...(how.length > 0
        ? [
            { heading: "Measurement", rows: how },
            { heading: "How the measurements ended", rows: ends },
          ]
        : []),
    ],
    csv: csv(run),
    links: [
      { file: "metrics.csv", text: "a line for each step, for spreadsheets and data frames" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  };
}
