import { CriticalSharpnessError, expected } from "../errors.js";
import { comparisonCsv } from "./comparison-csv.js";
import { type EdgeOfStability, edgeOfStability, type Spread } from "./edge-of-stability.js";
import { curvatureFigure, relativeCurvatureFigure } from "./figures/curvature.js";
import { type ComparedRun, edgeComparisonFigure } from "./figures/edge-comparison.js";
import { counted, integerText, prose } from "./numbers.js";
import { type PageFigure, page } from "./page.js";
import { type Report, writeReportFiles } from "./report-files.js";
import { runNames } from "./run-differences.js";
import { curvatureData } from "./run-figures.js";
import { type RunRecords, readRun } from "./run-records.js";
import { trainingRows } from "./summary.js";

/** Where each run sits relative to its thresholds. */
export interface Comparison extends Report {
  runs: (EdgeOfStability & { directory: string; name: string })[];
}

/**
 * Writes a report that shows training runs beside one another, as the paper's figures 3 and 4 do: the largest eigenvalue
 * of each over its threshold; and of each run λmax, λdir and λc, absolute and over what they are compared with.
 *
 * @param directories of runs that were trained with `hessian` in their configuration
 * @param out where report.html, report.png, metrics.csv and figures/ go
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if one is not a run, has no second derivatives, or `out` cannot be
 * written.
 */
export async function writeComparison(directories: readonly string[], out: string): Promise<Comparison> {
  if (directories.length === 0) throw expected("at least one run directory", "directories", directories);
  const runs: RunRecords[] = [];
  for (const directory of directories) {
    const run = await readRun(directory);
    if (run.curvatures.length === 0)
      throw new CriticalSharpnessError(
        "ERR_RUN_DIRECTORY",
        `Expected a run with second derivatives for the comparison but received "${directory}", which has none. Train it with --hessian-every N`,
      );
    runs.push(run);
  }
  const names = runNames(runs.map(({ configuration }) => configuration));
  const compared = runs.map((run, i): ComparedRun => {
    const data = curvatureData(run);
    return { name: names[i] as string, data, edge: edgeOfStability(data) };
  });
  const report = await writeReportFiles(out, {
    figures: [
      edgeComparisonFigure(compared),
      ...compared.flatMap(({ name, data }, i) => [
        { ...curvatureFigure(data, name), name: `run-${i + 1}` },
        { ...relativeCurvatureFigure(data, `${name}: over the threshold`), name: `run-${i + 1}-relative` },
      ]),
    ],
    csv: comparisonCsv(compared),
    page: (figures) => comparisonPage(runs, compared, figures),
  });
  return {
    ...report,
    runs: compared.map(({ name, edge }, i) => ({ directory: directories[i] as string, name, ...edge })),
  };
}

function comparisonPage(
  runs: readonly RunRecords[],
  compared: readonly ComparedRun[],
  figures: readonly PageFigure[],
): string {
  return page({
    title: "Training runs beside one another",
    lead:
      "At the edge of stability the largest eigenvalue stays near the threshold of its optimizer, and λc near 2/η. Medians " +
      "are those of the second half of the steps at the highest learning rate.",
    figures,
    tables: [
      {
        heading: "At the edge of stability",
        rows: [
          ["", "reached at step", "then, in steps", "λmax ÷ threshold", "λdir · η/2", "λc · η/2"],
          ...compared.map(({ name, edge }) => [
            name,
            edge.reached === null ? "never" : integerText(edge.reached),
            `${integerText(edge.from)}–${integerText(edge.to)}`,
            spread(edge.largest),
            spread(edge.directional),
            spread(edge.critical),
          ]),
        ],
      },
      ...runs.map((run, i) => ({
        heading: (compared[i] as ComparedRun).name,
        rows: trainingRows(run, undefined),
      })),
    ],
    links: [
      { file: "metrics.csv", text: "every second derivative with its threshold" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  });
}

function spread(found: Spread | null): string {
  if (!found) return "–";
  const { median, low, high, count } = found;
  return `${prose(median)} (quartiles ${prose(low)} and ${prose(high)} of ${counted(count, "value")})`;
}
