import * as z from "zod";
import { expected } from "../errors.js";
import { badData } from "../files/index.js";
import { checkNumber, count, fraction, type OptionsOf, readOptions, seedSchema } from "../options/index.js";
import { permutation, type Random, random } from "./random.js";

/** Inputs with their targets. */
export interface ExampleSet {
  /** For messages. */
  readonly name: string;
  readonly count: number;
  readonly features: number;
  /** Classes of a classification, outputs of a regression. */
  readonly outputs: number;
  /** Row-major [count, features]. */
  readonly inputs: Float32Array;
  /** Class labels [count], or row-major [count, outputs] of a regression. */
  readonly targets: Uint8Array | Int32Array | Float32Array;
}

/** Rows `from` … `to` − 1, sharing memory. */
export function rows(set: ExampleSet, from: number, to: number): ExampleSet {
  const width = set.targets.length / set.count;
  return {
    ...set,
    count: to - from,
    inputs: set.inputs.subarray(from * set.features, to * set.features),
    targets: set.targets.subarray(from * width, to * width),
  };
}

/** The rows of `order`, copied. */
export function gather(set: ExampleSet, order: ArrayLike<number>): Pick<ExampleSet, "inputs" | "targets"> {
  const { features } = set;
  const width = set.targets.length / set.count;
  const inputs = new Float32Array(order.length * features);
  const targets = new (set.targets.constructor as Float32ArrayConstructor)(
    order.length * width,
  ) as unknown as ExampleSet["targets"];
  for (let i = 0; i < order.length; i++) {
    const row = order[i] as number;
    inputs.set(set.inputs.subarray(row * features, (row + 1) * features), i * features);
    targets.set(set.targets.subarray(row * width, (row + 1) * width), i * width);
  }
  return { inputs, targets };
}

/** Examples with their targets. */
export interface ExampleBatch {
  kind: "examples";
  inputs: Float32Array;
  targets: ExampleSet["targets"];
  shape: [n: number];
}

const exampleBatchShape = {
  /** Examples in a batch; as many as there are for training = the full batch, the same at every step. */
  size: count,
  seed: seedSchema,
  /** Part of the set, its end, that only validation sees. Default 0. */
  validationFraction: fraction.default(0),
};

const exampleBatchOptions = z.strictObject(exampleBatchShape);

export type ExampleBatchOptions = OptionsOf<typeof exampleBatchShape>;

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
    const { size, seed, validationFraction } = readOptions(exampleBatchOptions, options);
    if (!((set as unknown as ExampleSet | null)?.inputs instanceof Float32Array))
      throw expected("an ExampleSet", "set", set);
    this.#size = size;
    this.#seed = seed;
    const held = Math.floor(set.count * validationFraction);
    this.#training = rows(set, 0, set.count - held);
    this.#validation = rows(set, set.count - held, set.count);
    if (this.#training.count < this.#size)
      throw badData(
        `at least ${this.#size} examples, a batch, to train on`,
        set.name,
        `${this.#training.count}`,
      );
    if (validationFraction > 0 && held === 0)
      throw badData("at least 1 example to validate on", set.name, "0");
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

const size = count.max(2 ** 24);

const syntheticShape = {
  task: z.enum(["regression", "classification"]),
  /** Examples. */
  count: size,
  /** Numbers of an input. */
  features: size,
  /** Outputs, or classes. */
  outputs: size,
  /** Width of the teacher's hidden layer. Default 32. */
  hidden: size.default(32),
  /** Standard deviation of what is added to the teacher's outputs, whose own is near 1. Default 0.1. */
  noise: z.number().min(0).default(0.1),
  seed: seedSchema,
};

const syntheticOptions = z.strictObject(syntheticShape);

export type SyntheticOptions = OptionsOf<typeof syntheticShape>;

/**
 * Standard normal inputs x, and what a random network with one tanh layer makes of them: y = B·tanh(A·x) + noise, with
 * A and B normal of variance 1/fan-in. A classification's target is the largest y.
 *
 * @throws TypeError, RangeError naming the option.
 */
export function syntheticExamples(options: SyntheticOptions): ExampleSet {
  const { task, count, features, outputs, hidden, noise, seed } = readOptions(syntheticOptions, options);
  const generator = random("synthetic", seed);
  const first = normals(generator, hidden * features, 1 / Math.sqrt(features));
  const second = normals(generator, outputs * hidden, 1 / Math.sqrt(hidden));
  const inputs = Float32Array.from(normals(generator, count * features, 1));
  const answers = new Float32Array(count * outputs);
  for (let i = 0; i < count; i++) {
    const x = inputs.subarray(i * features, (i + 1) * features);
    const y = multiply(second, multiply(first, x).map(Math.tanh));
    for (let k = 0; k < outputs; k++)
      answers[i * outputs + k] = (y[k] as number) + noise * generator.normal();
  }
  const targets = task === "regression" ? answers : largest(answers, count, outputs);
  return { name: "the synthetic data", count, features, outputs, inputs, targets };
}

function normals(generator: Random, length: number, deviation: number): Float64Array {
  return Float64Array.from({ length }, () => deviation * generator.normal());
}

/** Matrix [rows, x.length] times x. */
function multiply(matrix: Float64Array, x: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: matrix.length / x.length }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += (matrix[row * x.length + i] as number) * (x[i] as number);
    return sum;
  });
}

/** The index of the largest of each row. */
function largest(values: Float32Array, count: number, width: number): Int32Array {
  return Int32Array.from({ length: count }, (_, row) => {
    const part = values.subarray(row * width, (row + 1) * width);
    return part.indexOf(Math.max(...part));
  });
}
