import { expected } from "../errors.js";
import { checkBoolean, checkNumber, checkOptions } from "../options/index.js";
import type { NativeBatch } from "../torch/index.js";
import { native, Owner } from "../torch/index.js";
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
        `labels shifted by one, labels[b, t] the token after inputIds[b, t] (in Python: ${shiftInPython}), or labelsAreShifted: true (in a file, the metadata {"labels": "shifted"}),`,
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

/** What integers may come in. */
export type Integers =
  | BigInt64Array
  | Int32Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | readonly number[];

/** A shape of `rank` positive sizes. */
export function checkShape(shape: unknown, subject: string, rank: number): number[] {
  if (!Array.isArray(shape) || shape.length !== rank)
    throw expected(`an array of ${rank} size${rank > 1 ? "s" : ""}`, subject, shape);
  return shape.map((s, i) =>
    checkNumber(s, `${subject}[${i}]`, { minimum: 1, maximum: 2 ** 40, integer: true }),
  );
}

export function isFloatArray(value: unknown): value is Float32Array | Float64Array {
  return value instanceof Float32Array || value instanceof Float64Array;
}

/** `count` integers as int64. */
export function integers(value: unknown, subject: string, count: number): BigInt64Array {
  const view = ArrayBuffer.isView(value) && !(value instanceof DataView) && !isFloatArray(value);
  if (!view && !Array.isArray(value)) throw expected("an array of integers", subject, value);
  const data = value as Integers;
  if (data.length !== count)
    throw expected(`${count} integers, as the shape says,`, subject, data.length, "range");
  if (data instanceof BigInt64Array) return data;
  // Two 32-bit words a number: a BigInt each would be slow.
  const out = new BigInt64Array(count);
  const words = new Int32Array(out.buffer);
  for (let i = 0; i < count; i++) {
    const n = data[i];
    if (typeof n !== "number" || !Number.isInteger(n) || n < -(2 ** 31) || n >= 2 ** 31)
      throw expected("an integer below 2³¹", `${subject}[${i}]`, n, typeof n === "number" ? "range" : "type");
    words[2 * i] = n;
    words[2 * i + 1] = n < 0 ? -1 : 0;
  }
  return out;
}

/** Floating-point rows: a positive multiple of `rows` numbers. */
export function floats(value: unknown, subject: string, rows: number): Float32Array | Float64Array {
  const data = Array.isArray(value)
    ? Float64Array.from(value, (x, i) => checkNumber(x, `${subject}[${i}]`))
    : value;
  if (!isFloatArray(data)) throw expected("a Float32Array or Float64Array", subject, value);
  if (data.length === 0 || data.length % rows !== 0)
    throw expected(
      `a multiple of ${rows} numbers, one row for each of the shape's,`,
      subject,
      data.length,
      "range",
    );
  return data;
}
