import { checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";

/** How much each source gives to a mixture, by tokens: numbers ≥ 0 in any unit. */
export type Shares<Name extends string = string> = Readonly<Record<Name, number>>;

/** The whole Dolmino mix of OLMo 2's mid-training in percent (Kalra et al. 2026, Table 1). */
export const dolminoShares = {
  dclm: 47.2,
  flan: 16.6,
  stackexchange: 2.45,
  pes2o: 5.85,
  wikipedia: 7.11,
  math: 20.8,
} as const satisfies Shares;

/** Shares that add up to 1. @throws TypeError, RangeError naming the source. */
export function normalizedShares<Name extends string>(shares: Shares<Name>): Record<Name, number> {
  const entries = Object.entries(checkOptions(shares, "shares")).map(
    ([name, share]) => [name, checkNumber(share, `shares.${name}`, { minimum: 0 })] as const,
  );
  const total = entries.reduce((sum, [, share]) => sum + share, 0);
  if (!(total > 0 && total < Infinity))
    throw expected("shares that add up to more than 0", "shares", total, "range");
  return Object.fromEntries(entries.map(([name, share]) => [name, share / total])) as Record<Name, number>;
}

/**
 * The shares in which one source makes up `ratio` of all tokens and the others keep their proportions.
 *
 * @param ratio from 0 to 1
 * @throws TypeError, RangeError naming the source, or where there is no other.
 */
export function varyShare<Name extends string>(
  shares: Shares<Name>,
  source: NoInfer<Name>,
  ratio: number,
): Record<Name, number> {
  const checked = normalizedShares(shares);
  if (!Object.hasOwn(checked, source)) throw expected("the name of a source", "source", source, "range");
  checkNumber(ratio, "ratio", { minimum: 0, maximum: 1 });
  const names = Object.keys(checked) as Name[];
  const rest = names.reduce((sum, name) => sum + (name === source ? 0 : checked[name]), 0);
  if (rest === 0) throw expected("another source with a share > 0", "shares", rest, "range");
  return Object.fromEntries(
    names.map((name) => [name, name === source ? ratio : (checked[name] / rest) * (1 - ratio)]),
  ) as Record<Name, number>;
}

/**
 * Which source gives the next sequence of a mixture: the one that is furthest behind its share of the tokens, so that at any
 * moment every share is met to within a sequence.
 */
export class Apportionment {
  /** Tokens that each source has given. */
  readonly tokens: number[];
  readonly #shares: readonly number[];
  readonly #sequence: number;

  /**
   * @param shares adding up to 1
   * @param sequence tokens of a whole sequence
   */
  constructor(shares: readonly number[], sequence: number) {
    this.#shares = shares;
    this.#sequence = sequence;
    this.tokens = shares.map(() => 0);
  }

  /** The place of the source whose turn it is, among those that have sequences left; −1 of none. */
  next(has: (source: number) => boolean = () => true): number {
    const total = this.tokens.reduce((a, b) => a + b, 0) + this.#sequence;
    let [source, most] = [-1, -Infinity];
    for (const [i, share] of this.#shares.entries()) {
      const behind = share * total - (this.tokens[i] as number);
      if (behind > most && share > 0 && has(i)) [source, most] = [i, behind];
    }
    return source;
  }

  /** Counts what a source gave. */
  take(source: number, tokens: number): void {
    this.tokens[source] = (this.tokens[source] as number) + tokens;
  }
}
