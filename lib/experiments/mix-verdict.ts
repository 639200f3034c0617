import { type MixRecommendation, ratiosText } from "./mix-recommendation.js";
import type { MixCellRecord } from "./mix-records.js";

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
