import { expected } from "../errors.js";
import { checkNumber, checkOptions } from "../options/index.js";
import { type TokenBatch, TokenBatches, type TokenBatchOptions } from "./token-batches.js";
import type { TokenStream } from "./tokens.js";

export type MixtureOptions = Omit<TokenBatchOptions, "sampling">;

/**
 * Training batches of sequences from several sources, each of which gives its share of the tokens: at any moment the next
 * sequence is of the source that is furthest behind its share. A source's sequences are taken in random order, each once
 * before any is taken again. A batch is a function of (seed, step) alone.
 */
export class MixtureBatches<Name extends string = string> {
  readonly #sources: { name: Name; share: number; batches: TokenBatches }[];
  readonly #size: number;
  readonly #sequence: number;
  /** Sequences taken of each source before step `#step`, and their tokens. */
  #sequences: number[] = [];
  #apportionment: Apportionment;
  #step = 1;

  /** @throws TypeError, RangeError naming the option or source; CriticalSharpnessError `ERR_DATA`. */
  constructor(
    sources: Readonly<Record<Name, TokenStream>>,
    shares: Shares<NoInfer<Name>>,
    options: MixtureOptions,
  ) {
    const { size, sequence } = checkOptions(options, "options") as unknown as MixtureOptions;
    const streams = checkOptions(sources, "sources") as Record<Name, TokenStream>;
    const checked = normalizedShares(shares);
    for (const name of Object.keys(streams))
      if (!Object.hasOwn(checked, name)) throw expected(`a share of "${name}"`, "shares", undefined, "range");
    this.#sources = (Object.entries(checked) as [Name, number][])
      .filter(([, share]) => share > 0)
      .map(([name, share]) => {
        if (!Object.hasOwn(streams, name)) throw expected("shares of sources alone", "shares", name, "range");
        return { name, share, batches: new TokenBatches(streams[name], { ...options, sampling: "epochs" }) };
      });
    this.#size = size;
    this.#sequence = sequence;
    this.#apportionment = this.#restart();
  }

  /** The training batch of a step, which counts from 1. */
  async training(step: number): Promise<TokenBatch> {
    checkNumber(step, "step", { minimum: 1, integer: true });
    if (step < this.#step) this.#restart();
    while (this.#step < step) this.#take();
    const taken = this.#take();
    const inputIds = new Uint32Array(this.#size * this.#sequence);
    const labels = new Int32Array(this.#size * this.#sequence);
    for (const [source, { batches }] of this.#sources.entries()) {
      const rows = taken.flatMap((t, row) => (t.source === source ? [{ row, place: t.place }] : []));
      if (rows.length === 0) continue;
      const part = await batches.sequences(rows.map(({ place }) => place));
      for (const [i, { row }] of rows.entries()) {
        const [begin, end] = [i * this.#sequence, (i + 1) * this.#sequence];
        inputIds.set(part.inputIds.subarray(begin, end), row * this.#sequence);
        labels.set(part.labels.subarray(begin, end), row * this.#sequence);
      }
    }
    return { kind: "tokens", inputIds, labels, shape: [this.#size, this.#sequence] };
  }

  /** Tokens that each source has given to the steps 1 … `step`. */
  tokensAfter(step: number): Record<Name, number> {
    checkNumber(step, "step", { minimum: 0, integer: true });
    if (step + 1 < this.#step) this.#restart();
    while (this.#step <= step) this.#take();
    return Object.fromEntries(
      this.#sources.map(({ name }, i) => [name, this.#apportionment.tokens[i]]),
    ) as Record<Name, number>;
  }

  #restart(): Apportionment {
    this.#step = 1;
    this.#sequences = this.#sources.map(() => 0);
    const shares = this.#sources.map(({ share }) => share);
    this.#apportionment = new Apportionment(shares, this.#sequence);
    return this.#apportionment;
  }

  /** The sequences of step `#step`, which is counted. */
  #take(): { source: number; place: number }[] {
    const taken: { source: number; place: number }[] = [];
    for (let row = 0; row < this.#size; row++) {
      const source = this.#apportionment.next();
      const place = (this.#sequences[source] as number)++;
      this.#apportionment.take(source, this.#tokensOf(source, place));
      taken.push({ source, place });
    }
    this.#step++;
    return taken;
  }

  #tokensOf(source: number, place: number): number {
    return (this.#sources[source] as { batches: TokenBatches }).batches.tokensAt(place);
  }
}

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
