import { runFiles } from "../experiments/run-directory.js";
import { csv } from "./csv.js";
import { writeMixReport } from "./mix-report.js";
import { type PageFigure, page } from "./page.js";
import { parameterCount } from "./parameter-count.js";
import { type Report, writeReportFiles } from "./report-files.js";
import { runFigures } from "./run-figures.js";
import { isRunOf } from "./run-files.js";
import { type RunRecords, readRun } from "./run-records.js";
import { writeSeriesReport } from "./series-report.js";
import { measurementRows, statusRows, trainingRows } from "./summary.js";

export type { Report } from "./report-files.js";

/**
 * Writes the report of a training run, of a series of checkpoints or of a mix, also of one that is under way, into its directory:
 * report.html, report.png, metrics.csv and figures/. Files of an earlier report are replaced, each whole or not at all.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no run, none that made a step, or no way to write;
 * `ERR_CONFIGURATION` if its config.json was changed into one that is none.
 */
export async function writeReport(directory: string): Promise<Report> {
  if (await isRunOf(directory, "mix")) return writeMixReport(directory);
  if (await isRunOf(directory, "series")) return writeSeriesReport(directory);
  const run = await readRun(directory);
  const parameters = await parameterCount(directory);
  return writeReportFiles(directory, {
    figures: runFigures(run),
    csv: csv(run),
    page: (shown) => runPage(run, parameters, shown),
  });
}

function runPage(run: RunRecords, parameters: number | undefined, figures: readonly PageFigure[]): string {
  const measurements = measurementRows(run);
  return page({
    title: "Critical sharpness of a training run",
    lead:
      "The critical learning rate ηc is how far a step could go along its update before the loss of its batch rises " +
      "above where it began; the critical sharpness is λc = 2/ηc.",
    figures,
    tables: [
      { heading: "Training", rows: trainingRows(run, parameters) },
      ...(measurements.length > 0
        ? [
            { heading: "Measurement", rows: measurements },
            { heading: "How the measurements ended", rows: statusRows(run) },
          ]
        : []),
    ],
    links: [
      { file: "metrics.csv", text: "a line for each step, for spreadsheets and data frames" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  });
}
