import { checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import { badData } from "./errors.js";
import { type ExampleSet, gather, rows } from "./examples.js";
import { permutation, random } from "./random.js";

/** Examples with their targets. */
export interface ExampleBatch {
  kind: "examples";
  inputs: Float32Array;
  targets: ExampleSet["targets"];
  shape: [n: number];
}

export interface ExampleBatchOptions {
  /** Examples in a batch; as many as there are for training = the full batch, the same at every step. */
  size: number;
  seed: number;
  /** Part of the set, its end, that only validation sees. Default 0. */
  validationFraction?: number;
}

/**
 * Batches from a set of examples. Every epoch goes through the training part once, in an order of its own that is a
 * function of (seed, epoch) alone; examples left over at its end wait for another epoch.
 */
export class ExampleBatches {
  readonly #training: ExampleSet;
  readonly #validation: ExampleSet;
  readonly #size: number;
  readonly #seed: number;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  /** @throws CriticalSharpnessError `ERR_DATA` if there are fewer examples than a batch takes. */
  constructor(set: ExampleSet, options: ExampleBatchOptions) {
    const { size, seed, validationFraction = 0 } = checkOptions(options, "options");
    if (!((set as unknown as ExampleSet | null)?.inputs instanceof Float32Array))
      throw expected("an ExampleSet", "set", set);
    this.#size = checkNumber(size, "options.size", { minimum: 1, integer: true });
    this.#seed = checkNumber(seed, "options.seed", { minimum: 0, integer: true });
    const fraction = checkNumber(validationFraction, "options.validationFraction", { minimum: 0, below: 1 });
    const held = Math.floor(set.count * fraction);
    this.#training = rows(set, 0, set.count - held);
    this.#validation = rows(set, set.count - held, set.count);
    if (this.#training.count < this.#size)
      throw badData(
        `at least ${this.#size} examples, a batch, to train on`,
        set.name,
        `${this.#training.count}`,
      );
    if (fraction > 0 && held === 0) throw badData("at least 1 example to validate on", set.name, "0");
  }

  /** Whether every step has the same batch. */
  get fullBatch(): boolean {
    return this.#size === this.#training.count;
  }

  /** Validation batches that differ; the last one may have fewer examples. */
  get validationBatches(): number {
    return Math.ceil(this.#validation.count / this.#size);
  }

  /** The training batch of a step, which counts from 1. */
  training(step: number): ExampleBatch {
    checkNumber(step, "step", { minimum: 1, integer: true });
    const { inputs, targets, count } = this.#training;
    if (this.fullBatch) return { kind: "examples", inputs, targets, shape: [count] };
    const perEpoch = Math.floor(count / this.#size);
    const epoch = Math.floor((step - 1) / perEpoch);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = permutation(count, random("epoch", this.#seed, epoch));
    }
    const first = ((step - 1) % perEpoch) * this.#size;
    const chosen = gather(this.#training, this.#order.subarray(first, first + this.#size));
    return { kind: "examples", ...chosen, shape: [this.#size] };
  }

  /** A validation batch; `index` counts from 0 and is below `validationBatches`. */
  validation(index: number): ExampleBatch {
    const last = this.validationBatches - 1;
    checkNumber(index, "index", { minimum: 0, maximum: last, integer: true });
    const first = index * this.#size;
    const part = rows(this.#validation, first, Math.min(first + this.#size, this.#validation.count));
    return { kind: "examples", inputs: part.inputs, targets: part.targets, shape: [part.count] };
  }
}
