import * as z from "zod";
import { badData } from "../files/index.js";
import { checkNumber, count, fraction, type OptionsOf, readOptions, seedSchema } from "../options/index.js";
import { permutation, random } from "./random.js";

const rowBatchShape = {
  /** Examples in a batch; as many as there are for training = the full batch, the same at every step. */
  size: count,
  seed: seedSchema,
  /** Part of the set, its end, that only validation sees. Default 0. */
  validationFraction: fraction.default(0),
};

const rowBatchOptions = z.strictObject(rowBatchShape);

export type RowBatchOptions = OptionsOf<typeof rowBatchShape>;

/**
 * Batches of rows of a set. Every epoch goes through the training part once, in an order of its own that is a function of
 * (seed, epoch) alone; rows left over at its end wait for another epoch.
 */
export abstract class RowBatches<Rows extends { readonly name: string; readonly count: number }, Made> {
  readonly #training: Rows;
  readonly #validation: Rows;
  readonly #part: (set: Rows, from: number, to: number) => Rows;
  readonly #size: number;
  readonly #seed: number;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /**
   * @param part rows `from` … `to` − 1 of a set
   * @throws CriticalSharpnessError `ERR_DATA` if there are fewer examples than a batch takes.
   */
  constructor(set: Rows, options: RowBatchOptions, part: (set: Rows, from: number, to: number) => Rows) {
    const { size, seed, validationFraction } = readOptions(rowBatchOptions, options);
    this.#part = part;
    this.#size = size;
    this.#seed = seed;
    const held = Math.floor(set.count * validationFraction);
    this.#training = part(set, 0, set.count - held);
    this.#validation = part(set, set.count - held, set.count);
    if (this.#training.count < this.#size)
      throw badData(
        `at least ${this.#size} examples, a batch, to train on`,
        set.name,
        `${this.#training.count}`,
      );
    if (validationFraction > 0 && held === 0)
      throw badData("at least 1 example to validate on", set.name, "0");
  }

  /** All rows of a set as a batch. */
  protected abstract whole(set: Rows): Made;
  /** The rows of `order`, copied. */
  protected abstract gather(set: Rows, order: Uint32Array): Made;

  /** Whether every step has the same batch. */
  get fullBatch(): boolean {
    return this.#size === this.#training.count;
  }

  /** Validation batches that differ; the last one may have fewer examples. */
  get validationBatches(): number {
    return Math.ceil(this.#validation.count / this.#size);
  }

  /** The training batch of a step, which counts from 1. */
  training(step: number): Made {
    checkNumber(step, "step", { minimum: 1, integer: true });
    if (this.fullBatch) return this.whole(this.#training);
    const { count } = this.#training;
    const perEpoch = Math.floor(count / this.#size);
    const epoch = Math.floor((step - 1) / perEpoch);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = permutation(count, random("epoch", this.#seed, epoch));
    }
    const first = ((step - 1) % perEpoch) * this.#size;
    return this.gather(this.#training, this.#order.subarray(first, first + this.#size));
  }

  /** A validation batch; `index` counts from 0 and is below `validationBatches`. */
  validation(index: number): Made {
    const last = this.validationBatches - 1;
    checkNumber(index, "index", { minimum: 0, maximum: last, integer: true });
    const first = index * this.#size;
    const end = Math.min(first + this.#size, this.#validation.count);
    return this.whole(this.#part(this.#validation, first, end));
  }
}
