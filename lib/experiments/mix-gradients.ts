import { Apportionment } from "../data/shares.js";
import { CriticalSharpnessError, expected, throwIfAborted } from "../errors.js";
import { checkBatch } from "../measures/options.js";
import { type Batch, Direction, type Gradient } from "../models/index.js";
import { PrefixSums, SourceRows } from "./prefix-sums.js";

/** A source of a mixture: batches whose first rows are its part of one, and its share at each ratio, by the ratio's place. */
export interface MixSource {
  /** As errors name it. */
  name: string;
  batchAt: (index: number) => Batch | Promise<Batch>;
  shares: readonly number[];
}

export interface MixGradientOptions {
  /** The varied source first: its batches have as many rows as the mixture's. */
  sources: readonly MixSource[];
  /** The batches that mixtures go on from, which are not read. */
  before: number;
  /** One backward pass. */
  gradientOf: (batch: Batch) => Promise<Gradient>;
  signal: AbortSignal | undefined;
}

/**
 * Gradients of a mixture's own batches at several ratios, from one pass over each source's rows. A mixture's batch of B rows has
 * n of the varied source and B − n of the rest, as `MixtureBatches` takes them. The first rows of the same batches serve every
 * ratio: a batch is cut where some ratio stops, each piece takes a backward pass, and sums over pieces make up the ratios'
 * gradients. So each is that of such a batch exactly, its noise included.
 *
 * r·∇L_varied + (1 − r)·∇L_rest of two whole batches has half the noise at r = ½. To mend its mean and variance would not be
 * enough for AdamW, whose Δ is not linear in the gradient: a weight that has one in few batches moves as far, however small the
 * gradient is.
 */
export class MixGradients {
  readonly #options: MixGradientOptions;
  #apportionments: readonly Apportionment[] | undefined;

  constructor(options: MixGradientOptions) {
    this.#options = options;
  }

  /**
   * Gives each ratio, by its place, the gradient of its batch: for the time of the call. Ratios come in the order of their rows.
   *
   * @returns mean loss of each source's rows; NaN of one that gave none
   * @throws RangeError if the sources' batches have too few rows.
   */
  async each(index: number, use: (place: number, gradient: Direction) => Promise<void>): Promise<number[]> {
    const { sources, gradientOf, signal } = this.#options;
    throwIfAborted(signal);
    const parts: SourceRows[] = [];
    for (const { name, batchAt } of sources)
      parts.push(new SourceRows(checkBatch(await batchAt(index), `batch ${index} of ${name}`)));
    const rows = this.#take(parts, index);
    const sums = parts.map((part) => new PrefixSums(part, gradientOf));
    try {
      // The rest is walked first and held; the varied source's sum is made as it is needed.
      const [varied, ...rest] = sums as [PrefixSums, ...PrefixSums[]];
      for (const [s, own] of rest.entries())
        for (const wanted of ascending(rows.map((taken) => taken[s + 1] as number))) await own.hold(wanted);
      for (const wanted of ascending(rows.map(([taken]) => taken as number))) {
        const first = await varied.upTo(wanted);
        for (const [place, taken] of rows.entries()) {
          if (taken[0] !== wanted) continue;
          const others = rest.map((own, s) => own.held(taken[s + 1] as number));
          using gradient = await mean(
            [first, ...others].filter((sum) => sum !== undefined),
            parts.reduce((sum, part, s) => sum + part.count(0, taken[s] as number), 0),
          );
          await use(place, gradient);
        }
      }
      return sums.map(({ loss }) => loss);
    } finally {
      for (const own of sums) own[Symbol.dispose]();
    }
  }

  /** Rows that each ratio's batch takes of each source. */
  #take(parts: readonly SourceRows[], index: number): number[][] {
    const size = (parts[0] as SourceRows).rows;
    this.#apportionments ??= this.#begin(parts[0] as SourceRows);
    return this.#apportionments.map((apportionment) => {
      const taken = parts.map(() => 0);
      for (let row = 0; row < size; row++) {
        const source = apportionment.next((s) => (taken[s] as number) < (parts[s] as SourceRows).rows);
        if (source < 0)
          throw expected(
            `as many rows in the other sources as in the varied one, ${size},`,
            `batch ${index} of a mixture`,
            row,
            "range",
          );
        const place = (taken[source] as number)++;
        apportionment.take(source, (parts[source] as SourceRows).count(place, place + 1));
      }
      return taken;
    });
  }

  /** As if the batches before had been taken, each sequence whole. */
  #begin({ rows, sequence }: SourceRows): Apportionment[] {
    const { sources, before } = this.#options;
    return (sources[0] as MixSource).shares.map((_, place) => {
      const shares = sources.map((source) => source.shares[place] as number);
      const apportionment = new Apportionment(shares, sequence);
      for (let row = 0; row < before * rows; row++) apportionment.take(apportionment.next(), sequence);
      return apportionment;
    });
  }
}

const ascending = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);

async function mean(sums: readonly Direction[], count: number): Promise<Direction> {
  if (count === 0 || sums.length === 0)
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_LOSS",
      "Expected a label that counts for each batch of a mixture but received none",
    );
  return Direction.combine(
    sums,
    sums.map(() => 1 / count),
  );
}
