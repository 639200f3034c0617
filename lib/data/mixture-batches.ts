import { checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import { Apportionment, normalizedShares, type Shares } from "./shares.js";
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
