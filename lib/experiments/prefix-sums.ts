import { type Batch, Direction, type Gradient } from "../models/index.js";

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
