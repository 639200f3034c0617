import { random } from "../data/random.js";
import { fewestRepeats } from "./mix-estimate.js";

/** Signed ηc of every task at every ratio, repeat by repeat: by ratio, task and repeat. Infinite: it binds nothing; NaN: unknown. */
export type RateTable = readonly (readonly (readonly number[])[])[];

/** What repeats tell of ratios that are compared with each other. */
export interface MixComparison {
  /**
   * For each ratio the probability, were all ratios equal, of one that looks as much worse than another as this one does than
   * the best; 1 where none looks better. Null of fewer than `fewestRepeats`.
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
 * Which ratios may be the best. The worst task of ratio a is worse than that of b if some task at a has a smaller ηc than every
 * task at b: the largest over tasks at a of the smallest over tasks at b of Student's t of the paired differences. No estimate
 * of the worst task comes in, whose bias would depend on the noise. The distribution of the largest such t over all pairs of
 * ratios, were they equal, is that under random signs of whole repeats: all that one repeat measures shares its batches, so
 * that ratios and tasks keep their correlation (a sign-flip test with max-t, Westfall & Young 1993; Romano & Wolf 2005).
 * Ratios that are left out are left out of the pairs too, and the rest is looked at again. A Δ that does not move, whose ηc is 0,
 * is compared as well, for whether any ratio descends at all.
 */
export function compareRatios(table: RateTable, seed: number): MixComparison {
  const repeats = table[0]?.[0]?.length ?? 0;
  const places = table.map((_, r) => r);
  const open = { pValues: places.map(() => null), candidates: places, descends: null };
  if (repeats < fewestRepeats) return open;
  const rows = table.map((row) =>
    row.filter((values) => !values.every((value) => value === Infinity)).map((values) => new Column(values)),
  );
  const still = [new Column(Array<number>(repeats).fill(0))];
  const signs = signPatterns(repeats, seed);
  const allowed = Math.max(level, 2 / signs.length);
  /** The probability of a t as large as one among some ratios, were they equal. */
  const among = (left: readonly number[]) => {
    const chance = largestByChance([...left.map((place) => rows[place] as Column[]), still], signs);
    return (t: number) => (t > 0 ? chance.filter((value) => value >= t).length / chance.length : 1);
  };
  const significant = (p: number) => allowed <= limit && p <= allowed;
  const first = among(places);
  const pValues: number[] = [];
  let candidates = places;
  for (let left = -1, pValue = first; left !== candidates.length; pValue = among(candidates)) {
    left = candidates.length;
    for (const a of candidates)
      pValues[a] = pValue(Math.max(0, ...candidates.map((b) => worse(rows[a], rows[b]))));
    candidates = candidates.filter((place) => !significant(pValues[place] as number));
  }
  const descends = places.some((place) => significant(first(worse(still, rows[place]))));
  const rises = places.every((place) => significant(first(worse(rows[place], still))));
  return { pValues, candidates, descends: descends ? true : rises ? false : null };
}

/** The values of one task at one ratio. */
class Column {
  readonly mean: number;
  constructor(readonly values: readonly number[]) {
    this.mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  /** Mean square of the differences from another. */
  spread(other: Column): number {
    let sum = 0;
    for (const [i, value] of this.values.entries()) sum += (value - (other.values[i] as number)) ** 2;
    return sum / this.values.length;
  }
}

/** Student's t of a mean difference but for a constant factor, from the mean square of the differences. */
function studentized(difference: number, square: number): number {
  if (difference === 0) return 0;
  // What rounding leaves of no variance at all is none.
  return difference / Math.sqrt(Math.max(square - difference ** 2, 1e-14 * square));
}

/** How clearly the worst task of the first is worse than that of the second. */
function worse(first: readonly Column[] = [], second: readonly Column[] = []): number {
  const each = first.map((a) =>
    Math.min(
      ...second.map((b) => {
        const t = studentized(b.mean - a.mean, a.spread(b));
        return Number.isNaN(t) ? -Infinity : t;
      }),
    ),
  );
  return second.length === 0 ? -Infinity : Math.max(-Infinity, ...each);
}

/** For each pattern of signs the largest t that any ratio's tasks have against the task that binds another. */
function largestByChance(rows: readonly (readonly Column[])[], signs: readonly Int8Array[]): number[] {
  const known = rows.map((row) => row.filter(({ mean }) => Number.isFinite(mean)));
  const binding = known.map((row) =>
    row.reduce<Column | undefined>((worst, c) => (worst && worst.mean <= c.mean ? worst : c), undefined),
  );
  const flat = known.flatMap((row, r) => row.map((column) => ({ column, r })));
  const pairs = binding.flatMap((b, r) =>
    b ? flat.filter((a) => a.r !== r).map((a) => ({ a: a.column, b, square: a.column.spread(b) })) : [],
  );
  const places = new Map(flat.map(({ column }, place) => [column, place]));
  const indices = pairs.map(({ a, b }) => [places.get(a) as number, places.get(b) as number] as const);
  return signs.map((pattern) => {
    const means = flat.map(({ column: { values } }) => {
      let sum = 0;
      for (let i = 0; i < values.length; i++) sum += (pattern[i] as number) * (values[i] as number);
      return sum / values.length;
    });
    let largest = 0;
    for (const [p, [a, b]] of indices.entries()) {
      const difference = (means[b] as number) - (means[a] as number);
      largest = Math.max(largest, studentized(difference, (pairs[p] as { square: number }).square));
    }
    return largest;
  });
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
