import { lookBelow } from "./earlier-crossing.js";
import { interpolate } from "./interpolated.js";
import { Line } from "./line.js";
import { isHopeless, outcome } from "./noise.js";
import {
  type CheckedOptions,
  checkLossAt,
  checkSearchOptions,
  type LossAt,
  type SearchOptions,
  type SearchResult,
} from "./options.js";

/**
 * The critical learning rate of a line: the smallest η > 0 with L(η) > L(0), strictly. A loss that is not finite counts as
 * above, a tie does not.
 *
 * The result is a certificate: the loss was seen not to be above at `lower` and to be above at `upper`, and
 * 1 − lower/upper ≤ tolerance. Both methods give the same (Kalra et al. 2026 for `bisection`). With `lossNoise` a rise is one that
 * noise does not explain; where noise leaves no answer the status is `unresolved`.
 *
 * @param lossAt L(θ − η·Δ) for η ≥ 0. It is called one learning rate at a time; what it throws ends the search.
 * @throws AbortError if the signal is aborted (an evaluation under way is waited for).
 * @throws TypeError, RangeError for bad options; CriticalSharpnessError `ERR_NON_FINITE_LOSS` if L(θ) is not finite.
 */
export async function findCriticalLearningRate(
  lossAt: LossAt,
  options: SearchOptions = {},
): Promise<SearchResult> {
  checkLossAt(lossAt);
  const checked = checkSearchOptions(options);
  if (checked.slope !== undefined && checked.slope < 0) return nonDescent(checked);
  const line = await Line.open(lossAt, checked);
  const search = checked.method === "bisection" ? bisect : interpolate;
  await search(line, checked);
  const firstCrossing = isHopeless(line, checked) ? "bracketed" : await lookBelow(line, checked, search);
  const found = outcome(line, checked);
  return {
    ...found,
    criticalSharpness: 2 / found.criticalLearningRate,
    firstCrossing,
    slope: checked.givenSlope ?? null,
    baseLoss: line.baseLoss,
    evaluations: line.points.map(({ learningRate, loss }) => ({ learningRate, loss })),
    forwardPasses: line.points.length + (checked.baseLoss === undefined ? 1 : 0),
  };
}

/** s < 0: the loss does not fall along −Δ, so every small step raises it, and no pass is needed to know. */
function nonDescent({ givenSlope, baseLoss }: CheckedOptions): SearchResult {
  return {
    criticalLearningRate: 0,
    criticalSharpness: Infinity,
    lower: 0,
    upper: 0,
    status: "non-descent",
    reason: null,
    firstCrossing: "probed",
    noise: null,
    slope: givenSlope ?? null,
    baseLoss: baseLoss ?? null,
    evaluations: [],
    forwardPasses: 0,
  };
}

/**
 * The procedure of Kalra et al. 2026: from the initial learning rate double while the loss does not rise, or halve while
 * it does; then bisect. It stops short where no crossing was met within `maximumDoublings`.
 */
export async function bisect(line: Line, options: CheckedOptions): Promise<void> {
  if (!line.lower && !line.upper) await line.evaluate(options.initialLearningRate);
  const smallest = options.initialLearningRate * 2 ** -options.maximumDoublings;
  const largest = options.initialLearningRate * 2 ** options.maximumDoublings;
  while (!line.upper && line.lower && line.lower.learningRate < largest)
    await line.evaluate(Math.min(largest, line.lower.learningRate * 2));
  while (!line.lower && line.upper && line.upper.learningRate > smallest)
    await line.evaluate(Math.max(smallest, line.upper.learningRate / 2));
  while (line.lower && line.upper && !line.narrow)
    await line.evaluate((line.lower.learningRate + line.upper.learningRate) / 2);
}
