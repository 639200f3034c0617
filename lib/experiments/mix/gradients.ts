import { Apportionment } from "../../data/index.js";
import { CriticalSharpnessError, expected, throwIfAborted } from "../../errors.js";
import { type Batch, checkBatch, Direction, type Gradient } from "../../models/index.js";

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
 * enough where Δ is not linear in the gradient, as AdamW's: a weight that has one in few batches moves as far, however small the
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
    const { gradientOf, signal } = this.#options;
    throwIfAborted(signal);
    const parts = await this.#parts(index);
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

  /** Passes over the batches of a place, as if their gradients had been given. */
  async skip(index: number): Promise<void> {
    this.#take(await this.#parts(index), index);
  }

  async #parts(index: number): Promise<SourceRows[]> {
    const parts: SourceRows[] = [];
    for (const { name, batchAt } of this.#options.sources)
      parts.push(new SourceRows(checkBatch(await batchAt(index), `batch ${index} of ${name}`)));
    return parts;
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

/** A batch as its rows: how many there are, and what each counts in the loss. */
export class SourceRows {
  readonly batch: Batch;
  readonly rows: number;
  /** What a whole row counts. */
  readonly sequence: number;
  readonly #counts: number[];

  constructor(batch: Batch) {
    this.batch = batch;
    const [rows, sequence = 1] = batch.shape as [number, number?];
    this.rows = rows;
    this.sequence = sequence;
    this.#counts = Array.from({ length: rows }, (_, row) => {
      if (batch.kind === "examples") return 1;
      using own = batch.rows(row, row + 1);
      return own.count;
    });
  }

  /** Of rows start … end − 1. */
  count(start: number, end: number): number {
    return this.#counts.slice(start, end).reduce((sum, count) => sum + count, 0);
  }
}

/** Sums of a batch's gradients over its first rows, each row weighing what it counts: ∇ of the sum of their losses. */
export class PrefixSums implements Disposable {
  readonly #source: SourceRows;
  readonly #gradientOf: (batch: Batch) => Promise<Gradient>;
  readonly #held = new Map<number, Direction>();
  #rows = 0;
  #sum: Direction | undefined;
  #losses = 0;

  constructor(source: SourceRows, gradientOf: (batch: Batch) => Promise<Gradient>) {
    this.#source = source;
    this.#gradientOf = gradientOf;
  }

  /** Mean loss of the rows so far; NaN of none. */
  get loss(): number {
    return this.#losses / this.#source.count(0, this.#rows);
  }

  /** The sum over the first rows, not fewer than before; until the next call. Undefined where none counts. */
  async upTo(rows: number): Promise<Direction | undefined> {
    const start = this.#rows;
    const count = this.#source.count(start, rows);
    if (count === 0) return this.#sum;
    using piece = this.#source.batch.rows(start, rows);
    const { loss, gradient } = await this.#gradientOf(piece);
    using own = gradient;
    const before = this.#sum;
    this.#sum = await Direction.combine(before ? [before, own] : [own], before ? [1, count] : [count]);
    if (before && ![...this.#held.values()].includes(before)) before.dispose();
    this.#rows = rows;
    this.#losses += count * loss;
    return this.#sum;
  }

  /** As `upTo`, and until this is disposed of. */
  async hold(rows: number): Promise<void> {
    const sum = await this.upTo(rows);
    if (sum) this.#held.set(rows, sum);
  }

  /** Undefined where none of the rows counts. */
  held(rows: number): Direction | undefined {
    return this.#held.get(rows);
  }

  [Symbol.dispose](): void {
    for (const sum of new Set([...this.#held.values(), ...(this.#sum ? [this.#sum] : [])])) sum.dispose();
  }
}
