import { mkdir } from "node:fs/promises";
import path from "node:path";
import { csv } from "./csv.js";
import { overview } from "./overview.js";
import { page } from "./page.js";
import { raster } from "./raster.js";
import { runFigures } from "./run-figures.js";
import { readRun } from "./run-records.js";
import { figureSize } from "./style.js";
import { summary } from "./summary.js";
import { writeWhole } from "./write-whole.js";

/** The files of a report. */
export interface Report {
  /** One page with everything in it; it needs no network and no script. */
  html: string;
  /** All figures in one picture. */
  png: string;
  /** A line for each step. */
  csv: string;
  /** By name. */
  figures: Record<string, { svg: string; png: string }>;
}

/**
 * Writes the report of a training run, also of one that is under way, into its directory: report.html, report.png,
 * metrics.csv and figures/. Files of an earlier report are replaced, each whole or not at all.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no run, or none that made a step.
 */
export async function writeReport(directory: string): Promise<Report> {
  const run = await readRun(directory);
  const figures = runFigures(run).map((figure) => ({ ...figure, svg: figure.draw(figureSize) }));
  await mkdir(path.join(directory, "figures"), { recursive: true });
  const report: Report = {
    html: path.join(directory, "report.html"),
    png: path.join(directory, "report.png"),
    csv: path.join(directory, "metrics.csv"),
    figures: {},
  };
  const pageFigures = [];
  for (const { name, title, caption, svg } of figures) {
    const files = { svg: `figures/${name}.svg`, png: `figures/${name}.png` };
    await writeWhole(path.join(directory, files.svg), svg);
    await writeWhole(path.join(directory, files.png), raster(svg));
    report.figures[name] = { svg: path.join(directory, files.svg), png: path.join(directory, files.png) };
    pageFigures.push({ title, caption, svg, files });
  }
  await writeWhole(report.png, raster(overview(figures)));
  await writeWhole(report.csv, csv(run));
  const content = page({
    title: "Critical sharpness of a training run",
    lead: "What was trained, and how far each of its steps could have gone before the loss rose.",
    summary: summary(run),
    figures: pageFigures,
    links: [
      ["metrics.csv", "metrics.csv, a line for each step"],
      ["metrics.jsonl", "metrics.jsonl, everything that was recorded"],
      ["report.png", "report.png, all figures in one"],
    ],
  });
  await writeWhole(report.html, content);
  return report;
}
