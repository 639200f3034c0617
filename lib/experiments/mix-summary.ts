import { expected } from "../errors.js";
import { compareRatios } from "./mix-comparison.js";
import { type Measured, type MixPoint, mixPoint, pooledCurvature, pooledLine } from "./mix-estimate.js";
import { type MixCrossing, type MixRecommendation, recommend } from "./mix-recommendation.js";

export interface MixSummary {
  /** By ratio and task. */
  points: MixPoint[];
  recommendation: MixRecommendation;
}

export type { MixCrossing, MixPoint, MixRecommendation };

/**
 * λc of every task at every ratio, and the ratios that they recommend. Whole repeats count as independent: all that is
 * measured in one shares its batches, so that differences between ratios and tasks are paired.
 *
 * @param seed of random signs, where there are too many repeats to take all
 * @throws RangeError unless each repeat has one measurement of every ratio and task.
 */
export function summarizeMix(measured: readonly Measured[], seed = 0): MixSummary {
  const ratios = [...new Set(measured.map(({ ratio }) => ratio))].sort((a, b) => a - b);
  const tasks = [...new Set(measured.map(({ task }) => task))];
  const repeats = [...new Set(measured.map(({ repeat }) => repeat))];
  const cells = arrange(measured, { ratios, tasks, repeats });
  const bends = cells.map((row) => row.map((cell) => pooledCurvature(cell.map((m) => m.measurement))));
  const lines = cells.map((row, r) =>
    row.map((cell, t) =>
      pooledLine(
        cell.map((m) => m.measurement),
        nearest(
          bends.map((b) => b[t] as number),
          r,
        ),
      ),
    ),
  );
  const points = cells.map((row, r) =>
    row.map((cell, t) => mixPoint(cell, lines[r]?.[t] as ReturnType<typeof pooledLine>)),
  );
  const table = points.map((row) => row.map((point) => point.criticalSharpness));
  return {
    points: points.flat(),
    recommendation: recommend({ ratios, tasks, table }, compareRatios(lines, seed), {
      repeats: repeats.length,
      measurements: measured.length,
      unresolved: measured.filter(({ measurement }) => measurement.status === "unresolved").length,
    }),
  };
}

/** By ratio, task and repeat. */
function arrange(
  measured: readonly Measured[],
  { ratios, tasks, repeats }: { ratios: number[]; tasks: string[]; repeats: number[] },
): Measured[][][] {
  const found = new Map(measured.map((m) => [JSON.stringify([m.ratio, m.task, m.repeat]), m]));
  const needed = ratios.length * tasks.length * repeats.length;
  if (found.size !== needed || measured.length !== needed)
    throw expected(
      `one measurement of each of ${ratios.length} ratios, ${tasks.length} tasks and ${repeats.length} repeats`,
      "measured",
      measured.length,
      "range",
    );
  return ratios.map((ratio) =>
    tasks.map((task) =>
      repeats.map((repeat) => found.get(JSON.stringify([ratio, task, repeat])) as Measured),
    ),
  );
}

/** The number at a place, or at the place nearest to it that has one; 1 where none has. */
function nearest(values: readonly number[], place: number): number {
  const distance = (i: number) => Math.abs(i - place);
  const there = values.map((_, i) => i).filter((i) => (values[i] as number) > 0);
  const [closest] = there.sort((a, b) => distance(a) - distance(b));
  return closest === undefined ? 1 : (values[closest] as number);
}
