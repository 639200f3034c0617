import { checkString } from "../options/index.js";
import type { Report, ReportContent } from "../report/index.js";
import { findKind, type Kind, type KindHeader, type RecordSchemas, readRun } from "../runs/index.js";
import { checkKind } from "./check/index.js";
import { checkpointsKind } from "./checkpoints/index.js";
import { mixKind } from "./mix/index.js";
import { probesKind } from "./probes/index.js";
import { trainKind } from "./train/index.js";
import type { Comparison } from "./train/run-comparison.js";

/** An experiment, whatever its configuration and records are. */
interface Experiment extends KindHeader {
  /** What the report of a run of it shows. */
  report(directory: string): Promise<ReportContent>;
}

const experiment = <Configuration extends object, Schemas extends RecordSchemas>(
  kind: Kind<Configuration, Schemas>,
): Experiment => ({
  ...kind,
  report: async (directory) => kind.report(await readRun(kind, directory)),
});

/** Every experiment that is a run. */
const experiments = [
  experiment(trainKind),
  experiment(checkpointsKind),
  experiment(mixKind),
  experiment(probesKind),
  experiment(checkKind),
];

/** What the report of a run shows, whatever its kind, also of one that is under way. @throws as `writeReport`. */
export async function reportContent(directory: string): Promise<ReportContent> {
  const checked = checkString(directory, "directory");
  return (await findKind(checked, experiments)).report(checked);
}

/**
 * Writes the report of a run, also of one that is under way, into its directory: report.html, report.png, metrics.csv and figures/.
 * Files of an earlier report are replaced, each whole or not at all.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no run, none that made a step, or no way to write;
 * `ERR_CONFIGURATION` if its config.json was changed into one that is none.
 */
export async function writeReport(directory: string): Promise<Report> {
  const content = await reportContent(directory);
  // Loaded when it is needed: what draws is large.
  const { writeReportFiles } = await import("../report/index.js");
  return writeReportFiles(directory, content);
}

/** Writes a report that shows training runs beside one another, see `writeComparison`. */
export async function compareRuns(directories: readonly string[], out: string): Promise<Comparison> {
  const { writeComparison } = await import("./train/run-comparison.js");
  return writeComparison(directories, out);
}
