import type { Line } from "./line.js";
import type { CheckedOptions } from "./options.js";
import type { SearchResult } from "./types.js";

type Search = (line: Line, options: CheckedOptions) => Promise<void>;

const factors = [4, 16];
/** Just below the answer nothing was seen: a wider gap than this, as a factor. */
const wide = 1.5;
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
  if (options.scan === 0 || !line.lower) return probed ? "probed" : "bracketed";
  await scan(line, options, search);
  return "scanned";
}

async function probe(line: Line, options: CheckedOptions, search: Search): Promise<boolean> {
  for (;;) {
    if (!line.lower || !isWanted(line, options)) return false;
    const from = origin(line, options);
    const below = line.points.map((p) => p.learningRate).filter((rate) => rate < from);
    const gap = from / Math.max(from / 4, ...below);
    const nearby = gap > wide ? [Math.sqrt(gap)] : [];
    if (
      !(await risesAt(
        line,
        [...nearby, ...factors].map((factor) => from / factor),
      ))
    )
      return true;
    await search(line, options);
  }
}

/** Upwards from the smallest: the first rise is the first crossing, to within the points' ratio. */
async function scan(line: Line, options: CheckedOptions, search: Search): Promise<void> {
  const from = origin(line, options);
  const rates = Array.from({ length: options.scan }, (_, i) => from * decades ** (i / options.scan - 1));
  if (await risesAt(line, rates)) await search(line, options);
}

/** Where to look from: below the answer or, where nothing rose, below the start, since all above it was looked at. */
function origin(line: Line, options: CheckedOptions): number {
  return line.upper && line.lower ? line.lower.learningRate : options.initialLearningRate;
}

async function risesAt(line: Line, learningRates: readonly number[]): Promise<boolean> {
  for (const rate of learningRates) if ((await line.evaluate(rate)).above) return true;
  return false;
}

function isWanted(line: Line, { firstCrossing }: CheckedOptions): boolean {
  if (typeof firstCrossing === "boolean") return firstCrossing;
  if (!line.lower || !line.upper) return true;
  const { learningRate } = line.lower;
  return firstCrossing.near.every((near) => learningRate > 4 * near || learningRate < near / 4);
}
