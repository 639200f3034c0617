import { mkdir } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import type { Figure } from "./figure.js";
import { overview } from "./overview.js";
import type { PageFigure } from "./page.js";
import { raster } from "./raster.js";
import { writeFigure } from "./write-figures.js";
import { writeWhole } from "./write-whole.js";

/** The files of a report. */
export interface Report {
  /** One page with everything in it; it needs no network and no script. */
  html: string;
  /** All figures in one picture. */
  png: string;
  /** A line for each step, or checkpoint. */
  csv: string;
  /** By the figure's name. */
  figures: Record<string, { svg: string; png: string }>;
}

/**
 * Writes a report's files into the directory of its run: report.html, report.png, metrics.csv and figures/, each whole or
 * not at all.
 *
 * @param page makes the page from the figures' places
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if the directory cannot be written.
 */
export async function writeReportFiles(
  directory: string,
  { figures, csv, page }: { figures: readonly Figure[]; csv: string; page: (shown: PageFigure[]) => string },
): Promise<Report> {
  const place = (file: string) => path.join(directory, file);
  const report: Report = {
    html: place("report.html"),
    png: place("report.png"),
    csv: place("metrics.csv"),
    figures: {},
  };
  try {
    await mkdir(place("figures"), { recursive: true });
    const shown: PageFigure[] = [];
    for (const figure of figures) {
      const { svg, files } = await writeFigure(place("figures"), figure);
      report.figures[figure.name] = files;
      shown.push({
        caption: figure.caption,
        svg,
        files: { svg: `figures/${figure.name}.svg`, png: `figures/${figure.name}.png` },
      });
    }
    await writeWhole(report.png, await raster(overview(figures)));
    await writeWhole(report.csv, csv);
    await writeWhole(report.html, page(shown));
    return report;
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
