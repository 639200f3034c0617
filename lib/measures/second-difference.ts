import { CriticalSharpnessError } from "../errors.js";
import type { LossAt } from "../search/index.js";

export interface SecondDifference {
  /** d²L/dη² at η = 0: ΔᵀHΔ. */
  curvature: number;
  /** How far it may be off: what the extrapolations disagree by, or what rounding can do. */
  error: number;
  forwardPasses: number;
}

/** Steps that are tried at most, each half the one before. */
const levels = 12;

/**
 * The second derivative of a line's loss at 0 from forward passes alone: central differences at ever smaller steps,
 * extrapolated to zero (Ridders 1982), until rounding outweighs what a smaller step gains. Two steps in a row must agree:
 * far from 0, where the line is no polynomial yet, extrapolations agree by chance.
 *
 * @param start the largest step
 * @param precision relative rounding error of a loss
 */
export async function secondDifference(
  lossAt: LossAt,
  base: number,
  start: number,
  precision: number,
): Promise<SecondDifference> {
  let best = { curvature: Number.NaN, error: Infinity };
  let before = best;
  let previous: number[] = [];
  let forwardPasses = 0;
  for (let level = 0; level < levels; level++) {
    const h = start / 2 ** level;
    const noise = (4 * precision * Math.abs(base)) / h ** 2;
    const row = [((await lossAt(h)) - 2 * base + (await lossAt(-h))) / h ** 2];
    forwardPasses += 2;
    let found = { curvature: row[0] as number, error: Infinity };
    for (const [k, coarse] of previous.entries()) {
      const fine = row[k] as number;
      // The error of column k falls as h^(2k + 2).
      const better = fine + (fine - coarse) / (4 ** (k + 1) - 1);
      row.push(better);
      const error = Math.max(Math.abs(better - fine), Math.abs(better - coarse), noise);
      if (error <= found.error) found = { curvature: better, error };
    }
    const error = Math.max(found.error, Math.abs(found.curvature - before.curvature));
    if (error <= best.error) best = { curvature: found.curvature, error };
    if (noise > best.error / 2) break;
    before = found;
    previous = row.every(Number.isFinite) ? row : [];
  }
  if (!Number.isFinite(best.curvature))
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_LOSS",
      `Expected finite losses along the direction within ±${start} but received others`,
    );
  return { ...best, forwardPasses };
}
