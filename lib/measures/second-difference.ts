import { CriticalSharpnessError } from "../errors.js";
import type { LossAt } from "../search/index.js";

export interface SecondDifference {
  /** d²L/dη² at η = 0: ΔᵀHΔ. */
  curvature: number;
  /** How far it may be off, from what the extrapolations disagree by. */
  error: number;
  /** The smallest step of the best estimate. */
  learningRate: number;
  forwardPasses: number;
}

/** Steps that are tried at most, each half the one before. */
const levels = 8;

/**
 * The second derivative of a line's loss at 0 from forward passes alone: central differences at ever smaller steps,
 * extrapolated to zero (Ridders 1982). It stops where rounding begins to outweigh what a smaller step gains.
 *
 * @param start the largest step
 */
export async function secondDifference(
  lossAt: LossAt,
  base: number | undefined,
  start: number,
): Promise<SecondDifference> {
  let forwardPasses = 0;
  const loss = async (learningRate: number) => {
    forwardPasses++;
    return lossAt(learningRate);
  };
  const middle = base ?? (await loss(0));
  let best = { curvature: Number.NaN, error: Infinity, learningRate: start };
  let previous: number[] = [];
  for (let level = 0; level < levels; level++) {
    const h = start / 2 ** level;
    const row = [((await loss(h)) - 2 * middle + (await loss(-h))) / h ** 2];
    for (const [k, coarse] of previous.entries()) {
      const fine = row[k] as number;
      // The error of column k falls as h^(2k + 2).
      const better = fine + (fine - coarse) / (4 ** (k + 1) - 1);
      row.push(better);
      const error = Math.max(Math.abs(better - fine), Math.abs(better - coarse));
      if (error <= best.error) best = { curvature: better, error, learningRate: h };
    }
    const settled = Math.abs((row.at(-1) as number) - (previous.at(-1) ?? Number.NaN));
    if (Number.isFinite(best.error) && settled > 2 * best.error) break;
    previous = row.every(Number.isFinite) ? row : [];
  }
  if (!Number.isFinite(best.curvature))
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_LOSS",
      `Expected finite losses along the direction within ±${start} but received others`,
    );
  return { ...best, forwardPasses };
}
