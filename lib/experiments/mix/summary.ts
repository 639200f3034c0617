import { expected } from "../../errors.js";
import { compareRatios } from "./comparison.js";
import { type Measured, type MixPoint, mixPoint, pooledCurvature, pooledLine } from "./mix-estimate.js";
import type { MixCellRecord } from "./mix-records.js";
import { type MixCrossing, type MixRecommendation, ratiosText, recommend } from "./recommendation.js";

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

/** What training says of a recommendation. */
export interface MixVerdict {
  /**
   * For each ratio the end of the run of learning rates, from the smallest on, at which no task's loss rose; null where it rose at
   * the smallest. One without a rise above one with a rise is chance.
   */
  safe: { ratio: number; learningRate: number | null }[];
  /** Ratios at which the largest of these was reached. */
  best: number[];
  /** Whether one of them is among the recommendation's ratios; null where nothing can be said. */
  held: boolean | null;
  sentence: string;
}

/**
 * Null where nothing was trained.
 *
 * @param cells of one training: see `oneTraining`. Only learning rates at which every ratio was trained are compared.
 */
export function mixVerdict(
  cells: readonly MixCellRecord[],
  recommendation: MixRecommendation,
): MixVerdict | null {
  if (cells.length === 0) return null;
  const ratios = ascending(cells.map((cell) => cell.ratio));
  const at = (ratio: number, rate: number) =>
    cells.find((cell) => cell.ratio === ratio && cell.learningRate === rate);
  const rates = ascending(cells.map((cell) => cell.learningRate)).filter((rate) =>
    ratios.every((ratio) => at(ratio, rate)),
  );
  const safe = ratios.map((ratio) => {
    const rose = rates.findIndex((rate) => someRose(at(ratio, rate) as MixCellRecord));
    const fine = rose < 0 ? rates : rates.slice(0, rose);
    return { ratio, learningRate: fine.at(-1) ?? null };
  });
  const largest = Math.max(...safe.map((s) => s.learningRate ?? 0));
  const best = largest > 0 ? safe.filter((s) => s.learningRate === largest).map((s) => s.ratio) : [];
  const count = cells[0]?.setup.steps ?? 0;
  const steps = `After ${count} ${count === 1 ? "step" : "steps"}`;
  if (rates.length === 0)
    return { safe, best, held: null, sentence: `${steps} no learning rate was tried at every ratio.` };
  const found =
    best.length > 0
      ? `${steps} the largest learning rate up to which no task's loss rose is ${short(largest)}, at the ${best.length === 1 ? "ratio" : "ratios"} ${ratiosText(best, ratios)}`
      : `${steps} some task's loss rose at every ratio from the smallest learning rate on`;
  return { safe, best, ...judge(found, best, ratios, recommendation) };
}

const ascending = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);
const short = (value: number) => Number(value.toPrecision(3)).toString();

function judge(
  found: string,
  best: readonly number[],
  trained: readonly number[],
  { ratio, ratios, decided, descends, pValues }: MixRecommendation,
): Pick<MixVerdict, "held" | "sentence"> {
  if (ratio === null && descends === false)
    return best.length === 0
      ? { held: true, sentence: `${found}, as the measurement says.` }
      : { held: false, sentence: `${found}, though the measurement found none.` };
  if (!decided) return { held: null, sentence: `${found}. The measurement had left it open.` };
  if (best.length === 0 || best.length === trained.length)
    return { held: null, sentence: `${found}: the training does not tell ratios apart.` };
  const held = best.some((b) => ratios.includes(b));
  const set = ratiosText(
    ratios,
    pValues.map((p) => p.ratio),
  );
  return {
    held,
    sentence: `${found}: ${held ? "among" : "not among"} the ratios that were recommended, ${set}.`,
  };
}

function someRose({ tasks }: MixCellRecord): boolean {
  return Object.values(tasks).some(({ before, after }) => after === null || after > before);
}
