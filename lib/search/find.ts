import { estimatedCrossing } from "./estimated.js";
import { interpolate, interpolateUntil } from "./interpolated.js";
import { Line } from "./line.js";
import { isHopeless, type Outcome, outcome } from "./noise.js";
import {
  type CheckedOptions,
  checkLossAt,
  checkSearchOptions,
  type EstimatedCrossing,
  type LossAt,
  type SearchOptions,
  type SearchResult,
} from "./search-options.js";

/**
 * The critical learning rate of a line: the smallest η > 0 with L(η) > L(0), strictly. A loss that is not finite counts as
 * above, a tie does not.
 *
 * The result is a certificate: the loss was seen not to be above at `lower` and to be above at `upper`, and
 * 1 − lower/upper ≤ tolerance. `interpolated` and `bisection` (Kalra et al. 2026) give the same. With `lossNoise` a rise is one that
 * noise does not explain; where noise leaves no answer the status is `unresolved`.
 *
 * `estimated` stops before the certificate, where the points say where the crossing is with an `error` of at most the tolerance. It
 * needs the slope; without one, and where no such estimate comes about, the result is a certificate.
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
  const search = searches[checked.method];
  await search(line, checked);
  const firstCrossing = isHopeless(line, checked) ? "bracketed" : await lookBelow(line, checked, search);
  // What was seen below may have made an estimate less certain.
  if (checked.method === "estimated") await search(line, checked);
  const estimate = goodEstimate(line, checked);
  const { length: evaluations } = line.points;
  if (checked.certify) await interpolate(line, checked);
  const answer = checked.certify ? undefined : estimate;
  const found = answer ? estimatedOutcome(line, answer) : outcome(line, checked);
  return {
    ...found,
    criticalSharpness: 2 / found.criticalLearningRate,
    error: answer?.error ?? null,
    estimate: estimate && checked.certify ? { ...estimate, evaluations } : null,
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
    error: null,
    estimate: null,
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

type Search = (line: Line, options: CheckedOptions) => Promise<void>;

const searches: Record<CheckedOptions["method"], Search> = {
  bisection: bisect,
  interpolated: interpolate,
  estimated,
};

async function estimated(line: Line, options: CheckedOptions): Promise<void> {
  await interpolateUntil(
    line,
    options,
    () => goodEstimate(line, options) !== undefined && !options.check.includes(line.points.length),
  );
}

/** An estimate that says where the crossing is as nearly as was asked for. */
function goodEstimate(line: Line, options: CheckedOptions): EstimatedCrossing | undefined {
  if (options.method !== "estimated") return undefined;
  const found = estimatedCrossing(line, options);
  return found && found.error <= options.tolerance ? found : undefined;
}

function estimatedOutcome(line: Line, { learningRate, noise }: EstimatedCrossing): Outcome {
  return {
    status: "converged",
    reason: null,
    criticalLearningRate: learningRate,
    lower: line.lower?.learningRate ?? 0,
    upper: line.upper?.learningRate ?? Infinity,
    noise: noise === 0 ? null : noise,
  };
}

const factors = [4, 16];
/** Widest gap just below the answer in which nothing was looked at, as a factor: about what bisection leaves. */
const wide = 1.35;
/** Widest gap that a search leaves that came up in steps. */
const stepped = 2.1;
/** A place within this factor of one that was looked at needs no look of its own. */
const near = 1.2;
/** Of a scan: the factor that it covers below the answer. */
const decades = 1000;

/**
 * Looks below the answer for an earlier crossing: the loss can rise, fall and rise again, and a search that starts beyond the
 * first crossing finds a later one. Where it finds one it searches there, and looks again.
 *
 * @returns what was done about the last answer
 */
export async function lookBelow(
  line: Line,
  options: CheckedOptions,
  search: Search,
): Promise<SearchResult["firstCrossing"]> {
  const probed = await probe(line, options, search);
  if (options.scan === 0 || startBelow(line, options) === undefined) return probed ? "probed" : "bracketed";
  await scan(line, options, search);
  return "scanned";
}

async function probe(line: Line, options: CheckedOptions, search: Search): Promise<boolean> {
  for (;;) {
    const from = startBelow(line, options);
    if (from === undefined || !isWanted(line, options)) return false;
    const below = line.points.map((p) => p.learningRate).filter((rate) => rate < from);
    const gap = from / Math.max(from / 4, ...below);
    const isSeen = (rate: number) => below.some((seen) => seen <= rate * near && rate <= seen * near);
    const far = factors.map((factor) => from / factor).filter((rate) => !isSeen(rate));
    const rates = [...within(gap).map((factor) => from / factor), ...far];
    if (!(await risesAt(line, rates))) return true;
    await search(line, options);
  }
}

/** Factors that cut a gap below the answer into parts: two cuts where the search came up in steps, else one. */
function within(gap: number): number[] {
  if (gap <= wide) return [];
  const parts = gap > stepped ? 2 : Math.ceil(Math.log(gap) / Math.log(wide));
  return Array.from({ length: parts - 1 }, (_, i) => gap ** ((i + 1) / parts));
}

/**
 * Upwards from the smallest: the first rise is the first crossing, to within the distance of two points. Three quarters of them lie
 * at equal distances, the rest below these at equal ratios: waves along a line are as likely to be even in η as in ln η.
 */
async function scan(line: Line, options: CheckedOptions, search: Search): Promise<void> {
  const from = startBelow(line, options) as number;
  const ratios = Math.ceil(options.scan / 4);
  const distances = options.scan - ratios;
  const least = from / (distances + 1);
  const smallest = from / decades;
  const rates = [
    ...Array.from({ length: ratios }, (_, i) => smallest * (least / smallest) ** (i / ratios)),
    ...Array.from({ length: distances }, (_, i) => least * (i + 1)),
  ];
  if (await risesAt(line, rates)) await search(line, options);
}

/**
 * Where to look from: below the answer or, where nothing rose, below the start, since all above it was looked at. Undefined where the
 * loss rose at all learning rates.
 */
function startBelow(line: Line, options: CheckedOptions): number | undefined {
  return expectedAnswer(line, options) ?? (line.lower && options.initialLearningRate);
}

function expectedAnswer(line: Line, options: CheckedOptions): number | undefined {
  const { lower, upper } = line;
  return goodEstimate(line, options)?.learningRate ?? (upper && lower?.learningRate);
}

async function risesAt(line: Line, learningRates: readonly number[]): Promise<boolean> {
  for (const rate of learningRates) if ((await line.evaluate(rate)).above) return true;
  return false;
}

function isWanted(line: Line, options: CheckedOptions): boolean {
  const { firstCrossing } = options;
  if (typeof firstCrossing === "boolean") return firstCrossing;
  const learningRate = expectedAnswer(line, options);
  if (learningRate === undefined) return true;
  return firstCrossing.near.every((near) => learningRate > 4 * near || learningRate < near / 4);
}
