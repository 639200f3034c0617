import { expected } from "../errors.js";
import { checkNumber, checkOptions } from "../options/index.js";
import { type NativeBatch, native, Owner } from "../torch/index.js";

import { type NamedTensor, readNamedTensors } from "./named-tensors.js";
import { as64, checkShape, exactly, floats, integers, isFloatArray, type Numbers } from "./numbers.js";
import { type PreferenceData, readTokenRows, type TokenData } from "./token-data.js";

export interface ExampleData {
  /** Row-major [n, features]. */
  inputs: Float32Array | Float64Array | readonly number[];
  /** Floating-point [n, out] for a regression, integer class labels [n] for a classification. */
  targets: Float32Array | Float64Array | Int32Array | Uint8Array | BigInt64Array;
  shape: readonly [n: number];
  /** wᵢ, one for each example: the loss is Σ wᵢ·lossᵢ ÷ Σ|wᵢ|. */
  weights?: Numbers;
}

/**
 * The fixed input of one loss: token sequences with their labels, or examples with their targets. Its data are copied
 * when it is made, and immutable.
 */
export class Batch extends Owner<NativeBatch> {
  /**
   * Rows that are padded at the start or packed become rows of one sequence each, padded at the end, whose loss is the same;
   * `shape` and `microBatch` are of these.
   *
   * @throws TypeError, RangeError when data and shape do not fit, an id is negative, no label counts, labels were not shifted,
   * or mask and positions say what cannot be computed.
   */
  static tokens(data: TokenData): Batch {
    const { weights, ...rows } = checkOptions(data, "data");
    return Batch.placed(rows, weights).batch;
  }

  /**
   * @throws as `tokens`; RangeError where rows are not pairs, where several sequences share a row, or a number is not finite.
   */
  static preferences(data: PreferenceData): Batch {
    const { referenceLogProbabilities, beta, labelSmoothing, ...rows } = checkOptions(data, "data");
    const options = {
      beta: beta === undefined ? 0.1 : checkNumber(beta, "data.beta", { above: 0 }),
      labelSmoothing:
        labelSmoothing === undefined
          ? 0
          : checkNumber(labelSmoothing, "data.labelSmoothing", { minimum: 0, below: 1 }),
    };
    if ("weights" in rows)
      throw expected("no weights beside preferences", "data.weights", rows.weights, "range");
    const { batch, count } = Batch.placed(rows, undefined);
    using plain = batch;
    if (plain.shape[0] !== count)
      throw expected(
        "rows of one sequence each, with a label that counts, for preferences",
        "data.inputIds",
        `${plain.shape[0]} sequences in ${count} rows`,
        "range",
      );
    const reference = exactly(referenceLogProbabilities, "data.referenceLogProbabilities", count);
    return new Batch(plain.handle.preferences(reference, options));
  }

  /** The rows as they are placed, and how many there were. */
  private static placed(data: Record<string, unknown>, weights: unknown): { batch: Batch; count: number } {
    const { rows, count } = readTokenRows(data, weights);
    const handle = native().createTokenBatch(rows.inputIds, rows.labels, rows.shape, rows.relativePositions);
    return { batch: withWeights(handle, rows.weights), count };
  }

  /** @throws TypeError, RangeError when data and shape do not fit or a label is negative. */
  static examples(data: ExampleData): Batch {
    const { inputs, targets, shape, weights: given } = checkOptions(data, "data");
    const [n] = checkShape(shape, "data.shape", 1) as [number];
    const weights = given === undefined ? undefined : exactly(given, "data.weights", n);
    const features = floats(inputs, "data.inputs", n);
    if (isFloatArray(targets)) {
      const outputs = floats(targets, "data.targets", n);
      return withWeights(
        native().createExampleBatch(features, [n, features.length / n], outputs, [n, outputs.length / n]),
        weights,
      );
    }
    if (Array.isArray(targets))
      throw expected(
        "a Float32Array or Float64Array (regression) or an Int32Array, Uint8Array or BigInt64Array (class labels)",
        "data.targets",
        targets,
      );
    return withWeights(
      native().createExampleBatch(
        features,
        [n, features.length / n],
        as64(integers(targets, "data.targets", n), "data.targets"),
        [n],
      ),
      weights,
    );
  }

  /**
   * Of a program (`loadModel` of a `.pt2` file): tensors by the names of its forward's arguments. Where the first axes of all are
   * equal, they are its rows.
   *
   * @throws TypeError, RangeError where data and shape do not fit.
   */
  static named(tensors: Readonly<Record<string, NamedTensor>>): Batch {
    return new Batch(native().createNamedBatch(readNamedTensors(tensors)));
  }

  /**
   * The rows from `start` up to `end` as a batch of their own, without copying. No label of theirs needs to count.
   *
   * @throws RangeError unless 0 ≤ start < end ≤ rows, and where it parts a pair of preferences.
   */
  rows(start: number, end: number): Batch {
    const last = this.shape[0] as number;
    const from = checkNumber(start, "start", { minimum: 0, maximum: last - 1, integer: true });
    const to = checkNumber(end, "end", { minimum: from + 1, maximum: last, integer: true });
    return new Batch(this.handle.part(from, to - from));
  }

  get kind(): "tokens" | "examples" | "named" {
    return this.handle.kind;
  }

  /** [batch, sequence] or [n]; of named tensors [n], or [1] where they have no rows in common. */
  get shape(): readonly number[] {
    return this.handle.shape;
  }

  /** Labels that count, or rows. */
  get count(): number {
    return this.handle.count;
  }
}

/** The batch of a handle, or one with weights in its place. */
function withWeights(handle: NativeBatch, weights: Float32Array | Float64Array | undefined): Batch {
  if (weights === undefined) return new Batch(handle);
  try {
    return new Batch(handle.weighted(weights));
  } finally {
    handle.dispose();
  }
}
