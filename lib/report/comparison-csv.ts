import { csvText } from "./csv.js";
import type { ComparedRun } from "./figures/edge-comparison.js";

const columns = ["run", "step", "what", "value", "threshold"] as const;

/** Runs as comma-separated values: a line for each λmax, λdir and λc, with what it is compared with. */
export function comparisonCsv(runs: readonly ComparedRun[]): string {
  const rows = runs.flatMap(({ name, data }) => {
    const own = new Map(data.threshold.map(({ x, y }) => [x, y]));
    const steps = new Map(data.stepThreshold.map(({ x, y }) => [x, y]));
    return (
      [
        [data.name, data.largest, own],
        ["λdir", data.directional, steps],
        ["λc", data.critical, steps],
      ] as const
    ).flatMap(([what, points, thresholds]) =>
      points.map(({ x, y }) => ({ run: name, step: x, what, value: y, threshold: thresholds.get(x) })),
    );
  });
  return csvText(columns, rows);
}
