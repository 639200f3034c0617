import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import { callback, type OptionsOf, readOptions, signalSchema } from "../options/index.js";
import { place } from "./interpolated.js";
import { Line, type Point } from "./line.js";
import { isResolved } from "./noise.js";
import {
  type CheckedOptions,
  checkBaseLoss,
  checkLossAt,
  checkSearchOptions,
  type Evaluation,
  type LossAt,
  searchKeys,
  significance,
} from "./search-options.js";

/** The largest step within a loss budget, as far as it is known. */
export interface AllowedStep {
  /** The part of L(θ) that the loss may rise by. */
  readonly allow: number;
  /** L(θ)·(1 + allow) */
  readonly level: number;
  /** ηa, the first η > 0 at which the loss rises above the level; null unless the status is `converged`. */
  readonly learningRate: number | null;
  /** The largest η before it that was seen within the budget; 0 if none was. */
  readonly lower: number;
  /** The smallest η that was seen above; null if none was. */
  readonly upper: number | null;
  /** Standard error of ηa relative to it that the rounding of losses makes, at most; null without ηa. */
  readonly noise: number | null;
  /**
   * `unbounded`: the loss was above at no η up to the cap. `unresolved`: the budget is smaller than noise, or noise moves ηa by more than
   * the larger of 1/8 and the tolerance, or the loss was above at every η down to the cap.
   */
  readonly status: "converged" | "unbounded" | "unresolved";
}

/** @internal */
export const allowKey = z.number().gt(0).max(1e6);

const allowedShape = {
  /** The part of L(θ) that the loss may rise by: 0.01 is 1 %. */
  allow: allowKey,
  /** L(θ), above 0. Default: `lossAt(0)`, one more forward pass. */
  baseLoss: z.number().optional(),
  /** s = ∇L·Δ; a negative one tells about where to look. */
  slope: z.number().optional(),
  tolerance: searchKeys.tolerance,
  initialLearningRate: searchKeys.initialLearningRate,
  lossNoise: searchKeys.lossNoise,
  /** What is known of the line: the evaluations of a search for ηc. */
  evaluations: z.array(z.custom<Evaluation>()).readonly().default([]),
  signal: signalSchema.optional(),
  onEvaluation: callback<(evaluation: Evaluation) => void>().optional(),
};

const allowedSchema = z.strictObject(allowedShape);

export type AllowedOptions = OptionsOf<typeof allowedShape>;

/**
 * The largest step within a loss budget: the first η > 0 at which L(θ − ηΔ) rises above L(θ)·(1 + allow). The budget is a part of
 * L(θ), so a loss must be above 0; one of a policy gradient, which may be of either sign, has none.
 *
 * It starts from what a search for ηc has evaluated, goes up by factors of 2 at first, and encloses the crossing to the
 * tolerance, as that search does: 1 − lower/upper ≤ ε. ηa is interpolated between the two ends.
 *
 * @returns the step, and the evaluations that it took besides
 * @throws CriticalSharpnessError `ERR_ALLOWED_LOSS` unless L(θ) is above 0, `ERR_NON_FINITE_LOSS`; TypeError, RangeError; AbortError.
 */
export async function findAllowedLearningRate(
  lossAt: LossAt,
  options: AllowedOptions,
): Promise<{ allowed: AllowedStep; evaluations: Evaluation[] }> {
  checkLossAt(lossAt);
  const {
    allow,
    evaluations: known,
    baseLoss: given,
    slope,
    ...search
  } = readOptions(allowedSchema, options);
  const baseLoss = checkBaseLoss(given ?? (await lossAt(0)));
  if (baseLoss <= 0)
    throw new CriticalSharpnessError(
      "ERR_ALLOWED_LOSS",
      `Expected a loss above 0, as allow is a part of it, for the loss at learning rate 0 but received ${baseLoss}`,
    );
  const checked = checkSearchOptions({ ...search, baseLoss });
  const room = allow * baseLoss;
  const line = (await Line.open(lossAt, checked)).above(room, known);
  const isClear = room > significance * line.noise;
  if (isClear) await enclose(line, checked, slope);
  const evaluations = line.points
    .slice(known.length)
    .map(({ learningRate, loss }) => ({ learningRate, loss }));
  return { allowed: { allow, level: baseLoss + room, ...judged(line, isClear, checked) }, evaluations };
}

/** Steps up that are no longer than bisection's, so that no crossing is passed over near where the search for ηc ended. */
const carefulSteps = 8;

/** Encloses the first crossing, and narrows the bracket. */
async function enclose(line: Line, options: CheckedOptions, slope: number | undefined): Promise<void> {
  const { initialLearningRate: start, maximumDoublings } = options;
  const [smallest, largest] = [-1, 1].map((sign) => start * 2 ** (sign * maximumDoublings)) as [
    number,
    number,
  ];
  if (line.points.length === 0) {
    // Of a line that rises at once the slope is known: as far as a straight one may go.
    const straight = slope !== undefined && slope < 0 ? line.threshold / -slope : start;
    await line.evaluate(Math.min(largest, Math.max(smallest, straight)));
  }
  for (let steps = 0; !line.upper && (line.lower as Point).learningRate < largest; steps++)
    await line.evaluate(
      Math.min(largest, (line.lower as Point).learningRate * (steps < carefulSteps ? 2 : 16)),
    );
  for (;;) {
    while (line.upper && !line.lower && line.upper.learningRate > smallest)
      await line.evaluate(Math.max(smallest, down(line, line.upper)));
    await narrow(line, options);
    if (!(await risesBefore(line))) return;
  }
}

/** A step down from a rise that is too high, of a line that is about a parabola. */
function down({ baseLoss, threshold }: Line, { learningRate, loss }: Point): number {
  const part = Math.sqrt(threshold / (loss - baseLoss));
  return learningRate * (part > 0 ? Math.min(0.5, Math.max(1 / 64, 0.9 * part)) : 1 / 4);
}

async function narrow(line: Line, { tolerance }: CheckedOptions): Promise<void> {
  const width = -Math.log1p(-tolerance) * (1 - 1e-3);
  let misses = 0;
  for (let steps = 0; line.lower && line.upper && !line.narrow; steps++) {
    const lower = Math.log(line.lower.learningRate);
    const upper = Math.log(line.upper.learningRate);
    const x = Math.log(crossing(line, line.lower, line.upper));
    // A straight line between two points far apart may be wrong again and again; halves never are.
    const isHalf = steps % 4 === 3 || Number.isNaN(x);
    const expected = { x, deviation: (upper - lower) / 10 };
    const { next, closing } = isHalf
      ? { next: (lower + upper) / 2, closing: false }
      : place({ lower, upper, expected, width, misses });
    const inside = next > lower && next < upper ? next : (lower + upper) / 2;
    const { above } = await line.evaluate(Math.exp(inside));
    misses = closing && above !== inside > x ? misses + 1 : 0;
  }
}

/** Where a straight line between two points crosses the level; NaN where one of them is not finite. */
function crossing({ baseLoss, threshold }: Line, lower: Point, upper: Point): number {
  const part = (baseLoss + threshold - lower.loss) / (upper.loss - lower.loss);
  return Number.isFinite(part)
    ? lower.learningRate + Math.min(1, Math.max(0, part)) * (upper.learningRate - lower.learningRate)
    : NaN;
}

/** Whether a rise is found below the answer, where a search that came down to it has not looked. */
async function risesBefore(line: Line): Promise<boolean> {
  if (!line.lower || !line.upper) return false;
  const { learningRate: from } = line.lower;
  const seen = line.points.filter((p) => p.learningRate < from);
  for (const factor of seen.length >= 2 ? [] : [4, 16])
    if ((await line.evaluate(from / factor)).above) return true;
  return false;
}

/** What was enclosed, and what noise leaves of it. */
function judged(line: Line, isClear: boolean, options: CheckedOptions): Omit<AllowedStep, "allow" | "level"> {
  const { lower, upper, baseLoss, threshold } = line;
  const ends = { lower: lower?.learningRate ?? 0, upper: upper?.learningRate ?? null };
  const without = { ...ends, learningRate: null, noise: null };
  if (!isClear || (upper && !lower)) return { ...without, status: "unresolved" };
  if (!upper || !lower) return { ...without, status: "unbounded" };
  const between = crossing(line, lower, upper);
  const learningRate = Number.isNaN(between) ? lower.learningRate : between;
  // The slope there is at least that of the chord to the lowest loss before, of a line that bends upwards.
  const before = [{ learningRate: 0, loss: baseLoss }, ...line.points].filter(
    (p) => p.learningRate < learningRate && Number.isFinite(p.loss),
  );
  const lowest = before.reduce((least, p) => (p.loss < least.loss ? p : least));
  const slope = (baseLoss + threshold - lowest.loss) / (learningRate - lowest.learningRate);
  const noise = line.noise / (slope * learningRate);
  return isResolved(noise, options)
    ? { ...ends, learningRate, noise, status: "converged" }
    : { ...without, noise, status: "unresolved" };
}
