import * as z from "zod";
import { expected } from "../errors.js";
import { count, type OptionsOf, readOptions, seedSchema } from "../options/index.js";
import { type Random, random } from "./random.js";
import { RowBatches, type RowBatchOptions } from "./row-batches.js";

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

export type ExampleBatchOptions = RowBatchOptions;

/** Batches from a set of examples. */
export class ExampleBatches extends RowBatches<ExampleSet, ExampleBatch> {
  /** @throws CriticalSharpnessError `ERR_DATA` if there are fewer examples than a batch takes. */
  constructor(set: ExampleSet, options: ExampleBatchOptions) {
    if (!((set as unknown as ExampleSet | null)?.inputs instanceof Float32Array))
      throw expected("an ExampleSet", "set", set);
    super(set, options, rows);
  }

  protected whole({ inputs, targets, count }: ExampleSet): ExampleBatch {
    return { kind: "examples", inputs, targets, shape: [count] };
  }

  protected gather(set: ExampleSet, order: Uint32Array): ExampleBatch {
    return { kind: "examples", ...gather(set, order), shape: [order.length] };
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
