import { random } from "../data/random.js";
import { fewestRepeats } from "./mix-estimate.js";

/** Signed ηc of every task at every ratio, repeat by repeat: by ratio, task and repeat. Infinite: it binds nothing; NaN: unknown. */
export type RateTable = readonly (readonly (readonly number[])[])[];

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
 * *every* task has at the other: the smallest, over those tasks, of Student's t of the paired differences. (The smallest of several
 * noisy ηc is too small: compared with another such it would tell ratios apart whose tasks are as good but more alike.) The
 * distribution of the largest t over all pairs of ratios, were they equal, is that under random signs of whole repeats: all that
 * one repeat measures shares its batches, so that ratios and tasks keep their correlation (a sign-flip test with max-t, Westfall &
 * Young 1993). Ratios that are left out are left out of the pairs too, and the rest is looked at again (Romano & Wolf 2005).
 */
export function compareRatios(table: RateTable, seed: number): MixComparison {
  const repeats = table[0]?.[0]?.length ?? 0;
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
  // A Δ that does not move has the ηc 0 of every task.
  const still = new Ratio([Array<number>(repeats).fill(0)], signs);
  const better = chance(ratios.map((ratio) => [still, ratio]));
  const worseThanStill = chance(ratios.map((ratio) => [ratio, still]));
  const some = ratios.some((ratio) => significant(better(worse(still, ratio))));
  const none = ratios.every((ratio) => significant(worseThanStill(worse(ratio, still))));
  return { pValues, candidates, descends: some ? true : none ? false : null };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** What one ratio's tasks are. */
class Ratio {
  /** Those that bind anything, an unknown one included. */
  readonly tasks: readonly (readonly number[])[];
  /** The one of the smallest ηc among those that are known. */
  readonly binding: readonly number[] | undefined;
  /** Its mean under each pattern of signs. */
  readonly signed: readonly number[];

  constructor(tasks: readonly (readonly number[])[], signs: readonly Int8Array[]) {
    this.tasks = tasks.filter((values) => !values.every((value) => value === Infinity));
    const known = this.tasks.filter((values) => values.every(Number.isFinite));
    const [binding] = [...known].sort((a, b) => mean(a) - mean(b));
    this.binding = binding;
    this.signed = binding ? signs.map((pattern) => signedMean(binding, pattern)) : [];
  }
}

function signedMean(values: readonly number[], signs: Int8Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (signs[i] as number) * (values[i] as number);
  return sum / values.length;
}

/** Mean square of the differences; signs do not change it. */
function meanSquare(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum / a.length;
}

/** Student's t of a mean difference, but for a constant factor. */
function studentized(difference: number, square: number): number {
  if (difference === 0) return 0;
  // What rounding leaves of no variance at all is none.
  return difference / Math.sqrt(Math.max(square - difference ** 2, 1e-14 * square));
}

/** How clearly the first is worse than the second; −∞ where something is unknown. */
function worse({ binding }: Ratio, { tasks }: Ratio): number {
  if (!binding || tasks.length === 0) return -Infinity;
  const each = tasks.map((values) => studentized(mean(values) - mean(binding), meanSquare(values, binding)));
  return each.some(Number.isNaN) ? -Infinity : Math.min(...each);
}

/** The probability that one of some pairs looks as much worse, the first than the second, as t says, were they equal. */
function chance(pairs: readonly (readonly Ratio[])[]): (t: number) => number {
  const largest: number[] = [];
  for (const [first, second] of pairs as readonly (readonly [Ratio, Ratio])[]) {
    if (first === second || !first.binding || !second.binding) continue;
    const square = meanSquare(first.binding, second.binding);
    for (const [i, own] of first.signed.entries()) {
      const t = studentized((second.signed[i] as number) - own, square);
      largest[i] = Math.max(largest[i] ?? 0, t);
    }
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
