import { checkChoice, checkNumber, checkOptions } from "../checks.js";
import type { ExampleSet } from "./examples.js";
import { type Random, random } from "./random.js";

export interface SyntheticOptions {
  task: "regression" | "classification";
  /** Examples. */
  count: number;
  /** Numbers of an input. */
  features: number;
  /** Outputs, or classes. */
  outputs: number;
  /** Width of the teacher's hidden layer. Default 32. */
  hidden?: number;
  /** Standard deviation of what is added to the teacher's outputs, whose own is near 1. Default 0.1. */
  noise?: number;
  seed: number;
}

/**
 * Standard normal inputs x, and what a random network with one tanh layer makes of them: y = B·tanh(A·x) + noise, with
 * A and B normal of variance 1/fan-in. A classification's target is the largest y.
 *
 * @throws TypeError, RangeError naming the option.
 */
export function syntheticExamples(options: SyntheticOptions): ExampleSet {
  const size = { minimum: 1, maximum: 2 ** 24, integer: true };
  const given = checkOptions(options, "options");
  const task = checkChoice(given.task, "options.task", ["regression", "classification"]);
  const count = checkNumber(given.count, "options.count", size);
  const features = checkNumber(given.features, "options.features", size);
  const outputs = checkNumber(given.outputs, "options.outputs", size);
  const hidden = checkNumber(given.hidden ?? 32, "options.hidden", size);
  const noise = checkNumber(given.noise ?? 0.1, "options.noise", { minimum: 0 });
  const seed = checkNumber(given.seed, "options.seed", { minimum: 0, integer: true });
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
