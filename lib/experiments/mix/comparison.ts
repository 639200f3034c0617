import { random } from "../../data/index.js";
import { fewestRepeats, type PooledLine } from "./mix-estimate.js";

/** What repeats tell of ratios that are compared with each other. */
export interface MixComparison {
  /**
   * For each ratio the probability, were all ratios equal, of one that looks as much worse than another as this one does; 1 where no
   * other looks better. Null of fewer repeats than `fewestRepeats`.
   */
  pValues: (number | null)[];
  /** Ratios, by place, that no other is significantly better than. */
  candidates: number[];
  /** Whether some ratio's Δ lowers every task; null where the data leave it open. */
  descends: boolean | null;
}

/** At most 5 % of false decisions are promised. Half of that is taken: signs are exact for symmetric noise, which is not all there is. */
const level = 0.025;
/** Few repeats have few patterns of signs, the smallest share of which, two of them, may be above the level: six repeats decide yet. */
const limit = 0.05;
/** Patterns of signs at most. */
const most = 1024;

/**
 * Which ratios may be the best. A ratio is worse than another if the task that binds it, of the smallest ηc, has a smaller one than
 * *every* task has at the other: the smallest, over those tasks, of Student's t of what the repeats say of the pair. (The smallest
 * of several noisy ηc is too small: compared with another such it would tell ratios apart whose tasks are as good but more alike.)
 * The distribution of the largest t over all pairs of ratios, were they equal, is that under random signs of whole repeats: all that
 * one repeat measures shares its batches, so that ratios and tasks keep their correlation (a sign-flip test with max-t, Westfall &
 * Young 1993). Ratios that are left out are left out of the pairs too, and the rest is looked at again (Romano & Wolf 2005).
 *
 * @param table by ratio and task
 * @param seed of random signs, where there are too many repeats to take all
 */
export function compareRatios(table: readonly (readonly PooledLine[])[], seed: number): MixComparison {
  const repeats = table[0]?.[0]?.slopes.length ?? 0;
  const places = table.map((_, place) => place);
  if (repeats < fewestRepeats) return { pValues: places.map(() => null), candidates: places, descends: null };
  const signs = signPatterns(repeats, seed);
  const allowed = Math.max(level, 2 / signs.length);
  const significant = (p: number) => allowed <= limit && p <= allowed;
  const ratios = table.map((tasks) => new Ratio(tasks, signs));
  const pValues: number[] = [];
  let candidates = places;
  for (let before = -1; before !== candidates.length; ) {
    before = candidates.length;
    const compared = candidates.map((place) => ratios[place] as Ratio);
    const pValue = chance(compared.flatMap((a) => compared.map((b) => [a, b])));
    for (const [i, place] of candidates.entries()) {
      const own = compared[i] as Ratio;
      pValues[place] = pValue(Math.max(...compared.map((other) => worse(own, other))));
    }
    candidates = candidates.filter((place) => !significant(pValues[place] as number));
  }
  const still = new Ratio([staying(repeats)], signs);
  const better = chance(ratios.map((ratio) => [still, ratio]));
  const worseThanStill = chance(ratios.map((ratio) => [ratio, still]));
  const some = ratios.some((ratio) => significant(better(worse(still, ratio))));
  const none = ratios.every((ratio) => significant(worseThanStill(worse(ratio, still))));
  return { pValues, candidates, descends: some ? true : none ? false : null };
}

/** The lines along a Δ that does not move. */
function staying(repeats: number): PooledLine {
  const zeros = Array<number>(repeats).fill(0);
  return { slopes: zeros, curvatures: zeros, slope: 0, curvature: 0, signedRate: 0 };
}

/** What one ratio's tasks are. */
class Ratio {
  /** Those that bind anything, an unknown one included. */
  readonly tasks: readonly PooledLine[];
  /** The one of the smallest ηc among those that are known. */
  readonly binding: PooledLine | undefined;
  /** Its mean slope and curvature under each pattern of signs. */
  readonly signed: readonly { slope: number; curvature: number }[];

  constructor(tasks: readonly PooledLine[], signs: readonly Int8Array[]) {
    this.tasks = tasks.filter(({ signedRate }) => signedRate !== Infinity);
    const known = this.tasks.filter(({ signedRate }) => Number.isFinite(signedRate));
    const [binding] = [...known].sort((a, b) => a.signedRate - b.signedRate);
    this.binding = binding;
    this.signed = binding
      ? signs.map((pattern) => ({
          slope: signedMean(binding.slopes, pattern),
          curvature: signedMean(binding.curvatures, pattern),
        }))
      : [];
  }
}

function signedMean(values: readonly number[], signs: Int8Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (signs[i] as number) * (values[i] as number);
  return sum / values.length;
}

/**
 * What a repeat says of two lines with one ηc: 2(s₂ − s₁) − ηc(κ₂ − κ₁), whose mean has the sign of the difference of both ηc. The
 * common ηc, of both together, makes it change its sign where the lines change places. Their own ηc would not: where few large κ
 * matter, the one that has them by chance has a smaller ηc, and seems to have a smaller error of it too.
 */
class Pair {
  readonly #rate: number;
  /** Mean square over repeats, which signs do not change. */
  readonly #square: number;

  constructor(first: PooledLine, second: PooledLine) {
    // Where nothing bends, beside a Δ that does not move, slopes alone are compared.
    const still = first.curvature === 0 || second.curvature === 0;
    this.#rate = still ? 0 : (2 * (first.slope + second.slope)) / (first.curvature + second.curvature);
    let sum = 0;
    for (const [i, slope] of first.slopes.entries())
      sum +=
        this.#difference(
          { slope, curvature: first.curvatures[i] as number },
          { slope: second.slopes[i] as number, curvature: second.curvatures[i] as number },
        ) ** 2;
    this.#square = sum / first.slopes.length;
  }

  #difference(
    first: { slope: number; curvature: number },
    second: { slope: number; curvature: number },
  ): number {
    return 2 * (second.slope - first.slope) - this.#rate * (second.curvature - first.curvature);
  }

  /** Student's t, but for a constant factor, of means of the first and the second: positive if the second's ηc is larger. */
  t(first: { slope: number; curvature: number }, second: { slope: number; curvature: number }): number {
    const difference = this.#difference(first, second);
    if (difference === 0) return 0;
    // What rounding leaves of no variance at all is none.
    return difference / Math.sqrt(Math.max(this.#square - difference ** 2, 1e-14 * this.#square));
  }
}

/** How clearly the first is worse than the second; −∞ where something is unknown. */
function worse({ binding }: Ratio, { tasks }: Ratio): number {
  if (!binding || tasks.length === 0) return -Infinity;
  const each = tasks.map((task) => new Pair(binding, task).t(binding, task));
  return each.some(Number.isNaN) ? -Infinity : Math.min(...each);
}

/** The probability that one of some pairs looks as much worse, the first than the second, as t says, were they equal. */
function chance(pairs: readonly (readonly Ratio[])[]): (t: number) => number {
  const largest: number[] = [];
  for (const [first, second] of pairs as readonly (readonly [Ratio, Ratio])[]) {
    if (first === second || !first.binding || !second.binding) continue;
    const pair = new Pair(first.binding, second.binding);
    for (const [i, own] of first.signed.entries())
      largest[i] = Math.max(largest[i] ?? 0, pair.t(own, second.signed[i] as Ratio["signed"][number]));
  }
  return (t) =>
    t > 0 && largest.length > 0 ? largest.filter((value) => value >= t).length / largest.length : 1;
}

/** All patterns of signs, or random ones where they are too many; the first is what was measured. */
function signPatterns(repeats: number, seed: number): Int8Array[] {
  const count = 2 ** repeats;
  if (count <= most)
    return Array.from({ length: count }, (_, n) =>
      Int8Array.from({ length: repeats }, (_, i) => (n & (1 << i) ? -1 : 1)),
    );
  const generator = random("mix signs", seed);
  return Array.from({ length: most }, (_, n) =>
    Int8Array.from({ length: repeats }, () => (n > 0 && generator.below(2) === 1 ? -1 : 1)),
  );
}
