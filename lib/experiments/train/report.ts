import type { ReportContent } from "../../report/index.js";
import { runFiles, type StoredRun } from "../../runs/index.js";
import type { TrainConfiguration } from "./configuration.js";
import { csv } from "./csv.js";
import { runFigures } from "./figures.js";
import type { trainRecords } from "./records.js";
import { gather } from "./stored.js";
import { measurementRows, parameterCount, trainingRows, unfinished } from "./summary.js";

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
