import { checkBoolean, checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import { native } from "../native/load.js";
import { Owner } from "../native/owner.js";
import type { NativeBatch } from "../native/surface.js";
import { checkShape, floats, type Integers, integers, isFloatArray } from "./batch-data.js";
import { areUnshifted, placeRows, shiftInPython } from "./token-rows.js";

export interface TokenData {
  /** Token ids, row-major [batch, sequence]. */
  inputIds: Integers;
  /** `labels[b, t]` is the token that follows `inputIds[b, t]`; −100 is ignored. */
  labels: Integers;
  shape: readonly [batch: number, sequence: number];
  /** 1 for a token, 0 for padding, which may stand at the start or the end of a row. Its label must be −100. */
  attentionMask?: Integers;
  /**
   * As transformers takes them: of padded rows, places among the tokens that count; without a mask, a row holds several
   * sequences (packing) where they start again at 0, and none sees another.
   */
  positionIds?: Integers;
  /**
   * Labels that all equal the id of their own place are an error, for Hugging Face's collators write them so and leave the
   * shift to the model. true: they are meant, as in a task that repeats its input.
   */
  labelsAreShifted?: boolean;
}

export interface ExampleData {
  /** Row-major [n, features]. */
  inputs: Float32Array | Float64Array | readonly number[];
  /** Floating-point [n, out] for a regression, integer class labels [n] for a classification. */
  targets: Float32Array | Float64Array | Int32Array | Uint8Array | BigInt64Array;
  shape: readonly [n: number];
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
    const { inputIds, labels, shape, attentionMask, positionIds, labelsAreShifted } = checkOptions(
      data,
      "data",
    );
    const [batch, sequence] = checkShape(shape, "data.shape", 2) as [number, number];
    const count = batch * sequence;
    const rows = {
      inputIds: integers(inputIds, "data.inputIds", count),
      labels: integers(labels, "data.labels", count),
      shape: [batch, sequence] as const,
    };
    const placed = placeRows(rows, {
      ...(attentionMask !== undefined && {
        attentionMask: integers(attentionMask, "data.attentionMask", count),
      }),
      ...(positionIds !== undefined && { positionIds: integers(positionIds, "data.positionIds", count) }),
    });
    const shifted = labelsAreShifted !== undefined && checkBoolean(labelsAreShifted, "data.labelsAreShifted");
    if (!shifted && areUnshifted(placed))
      throw expected(
        `labels shifted by one, labels[b, t] the token after inputIds[b, t] (in Python: ${shiftInPython}), or labelsAreShifted: true,`,
        "data.labels",
        "inputIds themselves",
        "range",
      );
    return new Batch(
      native().createTokenBatch(placed.inputIds, placed.labels, placed.shape, placed.relativePositions),
    );
  }

  /** @throws TypeError, RangeError when data and shape do not fit or a label is negative. */
  static examples(data: ExampleData): Batch {
    const { inputs, targets, shape } = checkOptions(data, "data");
    const [n] = checkShape(shape, "data.shape", 1) as [number];
    const features = floats(inputs, "data.inputs", n);
    if (isFloatArray(targets)) {
      const outputs = floats(targets, "data.targets", n);
      return new Batch(
        native().createExampleBatch(features, [n, features.length / n], outputs, [n, outputs.length / n]),
      );
    }
    if (Array.isArray(targets))
      throw expected(
        "a Float32Array or Float64Array (regression) or an Int32Array, Uint8Array or BigInt64Array (class labels)",
        "data.targets",
        targets,
      );
    return new Batch(
      native().createExampleBatch(features, [n, features.length / n], integers(targets, "data.targets", n), [
        n,
      ]),
    );
  }

  /**
   * The rows from `start` up to `end` as a batch of their own, without copying. No label of theirs needs to count.
   *
   * @throws RangeError unless 0 ≤ start < end ≤ rows.
   */
  rows(start: number, end: number): Batch {
    const last = this.shape[0] as number;
    const from = checkNumber(start, "start", { minimum: 0, maximum: last - 1, integer: true });
    const to = checkNumber(end, "end", { minimum: from + 1, maximum: last, integer: true });
    return new Batch(this.handle.part(from, to - from));
  }

  get kind(): "tokens" | "examples" {
    return this.handle.kind;
  }

  /** [batch, sequence] or [n]. */
  get shape(): readonly number[] {
    return this.handle.shape;
  }

  /** Labels that count, or rows. */
  get count(): number {
    return this.handle.count;
  }
}
