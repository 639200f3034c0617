import type { Line } from "./line.js";
import type { CheckedOptions, SearchResult } from "./options.js";

type Search = (line: Line, options: CheckedOptions) => Promise<void>;

const factors = [4, 16];
/** Widest gap just below the answer in which nothing was looked at, as a factor: about what bisection leaves. */
const wide = 1.35;
/** Widest gap that a search leaves that came up in steps. */
const stepped = 2.1;
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
    const rates = [...within(gap), ...factors].map((factor) => from / factor);
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
  const from = origin(line, options);
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
