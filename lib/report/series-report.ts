import path from "node:path";
import { runFiles } from "../experiments/run-directory.js";
import { describeData, describeOptimizer, describeSequences } from "./describe.js";
import { counted, integerText, prose } from "./numbers.js";
import { type PageFigure, page } from "./page.js";
import { provenanceRows } from "./provenance.js";
import { type Report, writeReportFiles } from "./report-files.js";
import { seriesCsv } from "./series-csv.js";
import { seriesFigures } from "./series-figures.js";
import { readSeries, type SeriesRecords } from "./series-records.js";

/** Writes the report of a series of checkpoints, see `writeReport`. */
export async function writeSeriesReport(directory: string): Promise<Report> {
  const series = await readSeries(directory);
  return writeReportFiles(directory, {
    figures: seriesFigures(series),
    csv: seriesCsv(series),
    page: (figures) => seriesPage(series, figures),
  });
}

function seriesPage(series: SeriesRecords, figures: readonly PageFigure[]): string {
  return page({
    title: "Critical sharpness over checkpoints",
    lead:
      "The critical learning rate ηc is how far a step could go along its update before the loss of its batch rises " +
      "above where it began; the critical sharpness is λc = 2/ηc. The weights of each checkpoint stay as they are.",
    figures,
    tables: [
      { heading: "Measurement", rows: measurementRows(series) },
      { heading: "Checkpoints", rows: checkpointRows(series) },
      ...(series.failed.length > 0
        ? [{ heading: "Failed", rows: series.failed.map(({ name, message }) => [name, message]) }]
        : []),
    ],
    links: [
      { file: "metrics.csv", text: "a line for each checkpoint and each of its parts" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  });
}

function measurementRows(series: SeriesRecords): string[][] {
  const { configuration, measured, count } = series;
  const { data, batch, accumulate, measure, optimizer, direction, weightDecay, search } = configuration;
  const decay = weightDecay || optimizer.weightDecay === 0 ? "" : ", left out of Δ";
  const stored = measured.filter((found) => found.direction === "stored").length;
  const seconds = measured.reduce((sum, found) => sum + found.seconds, 0);
  return [
    ["Checkpoints", `${integerText(measured.length)} of ${integerText(count)}`],
    ["Parameters", [...new Set(measured.map((found) => integerText(found.parameterCount)))].join(", ")],
    ["Data", describeData(data)],
    ["Batch", describeSequences(batch)],
    direction === null
      ? ["Δ", describeOptimizer(optimizer) + decay]
      : ["Δ", `of the file ${path.basename(direction)}`],
    ...(direction === null
      ? [
          [
            "Moments",
            stored === measured.length
              ? "stored with the checkpoints"
              : `of ${counted(accumulate, "batch", "batches")}${stored > 0 ? `, stored with ${stored} checkpoints` : ""}`,
          ],
        ]
      : []),
    ["Measured", counted(measure, "batch", "batches")],
    ["Method", `${search.method}, to within ${prose(search.tolerance * 100)} %`],
    ["Time", `${prose(seconds)} s in all, ${prose(seconds / measured.length)} s a checkpoint`],
    ...provenanceRows(series),
  ];
}

function checkpointRows({ measured }: SeriesRecords): string[][] {
  return measured.map(({ name, criticalSharpness, loss }) => {
    const { mean, standardError, median, nonDescent, count, unbounded, unresolved = 0 } = criticalSharpness;
    const all = count + nonDescent + unresolved;
    const none = unresolved > 0 ? NaN : Infinity;
    const left = [
      ...(nonDescent > 0 ? [`${nonDescent} of ${all} non-descent`] : []),
      ...(unresolved > 0 ? [`${unresolved} of ${all} unresolved`] : []),
      ...(unbounded > 0 ? [`${unbounded} unbounded`] : []),
    ];
    return [
      name,
      `λc ${prose(count === 0 ? none : mean)} ± ${prose(standardError)}, median ${prose(median ?? none)}`,
      `loss ${prose(loss.mean, 4)}`,
      left.join(", "),
    ];
  });
}
