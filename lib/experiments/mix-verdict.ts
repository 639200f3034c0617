import { type MixRecommendation, mayHaveRatio } from "./mix-recommendation.js";
import type { MixCellRecord } from "./mix-records.js";

/** What training says of a recommendation. */
export interface MixVerdict {
  /** For each ratio the largest learning rate at which no task's loss rose; null where it rose at each. */
  safe: { ratio: number; learningRate: number | null }[];
  /** Ratios at which the largest of these was reached. */
  best: number[];
  /** Whether one of them is within the recommendation's interval; null where nothing can be said. */
  held: boolean | null;
  sentence: string;
}

/** Null where nothing was trained. */
export function mixVerdict(
  cells: readonly MixCellRecord[],
  { ratio, interval, support }: MixRecommendation,
): MixVerdict | null {
  if (cells.length === 0) return null;
  const ratios = [...new Set(cells.map((cell) => cell.ratio))].sort((a, b) => a - b);
  const safe = ratios.map((ratio) => {
    const fine = cells.filter((cell) => cell.ratio === ratio && noneRose(cell));
    return { ratio, learningRate: fine.length > 0 ? Math.max(...fine.map((c) => c.learningRate)) : null };
  });
  const largest = Math.max(...safe.map((s) => s.learningRate ?? 0));
  const best = largest > 0 ? safe.filter((s) => s.learningRate === largest).map((s) => s.ratio) : [];
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(3))).join(", ");
  const count = cells[0]?.setup.steps ?? 0;
  const steps = `${count} ${count === 1 ? "step" : "steps"}`;
  const found =
    best.length > 0
      ? `After ${steps} the largest learning rate at which no task's loss rose is ${list([largest])}, at the ratio ${list(best)}`
      : `After ${steps} some task's loss rose at every ratio and learning rate`;
  if (ratio === null && mayHaveRatio({ support }))
    return { safe, best, held: null, sentence: `${found}. The measurement had left it open.` };
  if (best.length === 0)
    return {
      safe,
      best,
      held: ratio === null ? true : null,
      sentence: `${found}${ratio === null ? ", as the measurement says" : ": the training does not tell ratios apart"}.`,
    };
  if (ratio === null)
    return { safe, best, held: false, sentence: `${found}, though the measurement found none.` };
  const [low, high] = interval ?? [ratio, ratio];
  const held = best.some((b) => b >= low && b <= high);
  const within =
    low === high ? `the recommended ${list([low])}` : `the recommended ${list([low])} to ${list([high])}`;
  return { safe, best, held, sentence: `${found}: ${held ? "within" : "outside of"} ${within}.` };
}

function noneRose({ tasks }: MixCellRecord): boolean {
  return Object.values(tasks).every(({ before, after }) => after !== null && after <= before);
}
