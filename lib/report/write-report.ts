import { mkdir } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { runFiles } from "../experiments/run-directory.js";
import { csv } from "./csv.js";
import type { Figure } from "./figure.js";
import { overview } from "./overview.js";
import { type PageFigure, page } from "./page.js";
import { parameterCount } from "./parameter-count.js";
import { raster } from "./raster.js";
import { runFigures } from "./run-figures.js";
import { type RunRecords, readRun } from "./run-records.js";
import { figureSize } from "./style.js";
import { measurementRows, statusRows, trainingRows } from "./summary.js";
import { writeWhole } from "./write-whole.js";

/** The files of a report. */
export interface Report {
  /** One page with everything in it; it needs no network and no script. */
  html: string;
  /** All figures in one picture. */
  png: string;
  /** A line for each step. */
  csv: string;
  /** By the figure's name. */
  figures: Record<string, { svg: string; png: string }>;
}

/**
 * Writes the report of a training run, also of one that is under way, into its directory: report.html, report.png,
 * metrics.csv and figures/. Files of an earlier report are replaced, each whole or not at all.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no run, none that made a step, or no way to write;
 * `ERR_CONFIGURATION` if its config.json was changed into one that is none.
 */
export async function writeReport(directory: string): Promise<Report> {
  const run = await readRun(directory);
  const parameters = await parameterCount(directory);
  const figures = runFigures(run);
  try {
    return await write(directory, run, parameters, figures);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof CriticalSharpnessError) throw error;
    throw new CriticalSharpnessError(
      "ERR_RUN_DIRECTORY",
      `Expected a directory that can be written for the report of "${directory}" but received ${message}`,
      { cause: error },
    );
  }
}

async function write(
  directory: string,
  run: RunRecords,
  parameters: number | undefined,
  figures: readonly Figure[],
): Promise<Report> {
  const place = (file: string) => path.join(directory, file);
  const report: Report = {
    html: place("report.html"),
    png: place("report.png"),
    csv: place("metrics.csv"),
    figures: {},
  };
  await mkdir(place("figures"), { recursive: true });
  const shown: PageFigure[] = [];
  for (const { name, caption, draw } of figures) {
    const svg = draw(figureSize);
    const files = { svg: `figures/${name}.svg`, png: `figures/${name}.png` };
    await writeWhole(place(files.svg), svg);
    await writeWhole(place(files.png), await raster(svg));
    report.figures[name] = { svg: place(files.svg), png: place(files.png) };
    shown.push({ caption, svg, files });
  }
  await writeWhole(report.png, await raster(overview(figures)));
  await writeWhole(report.csv, csv(run));
  await writeWhole(report.html, runPage(run, parameters, shown));
  return report;
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
