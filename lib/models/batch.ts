import { expected } from "../errors.js";
import { checkBoolean, checkNumber, checkOptions } from "../options/index.js";
import { type NativeBatch, native, Owner } from "../torch/index.js";

import { type NamedTensor, readNamedTensors } from "./named-tensors.js";
import {
  as32,
  as64,
  checkShape,
  exactly,
  floats,
  type Integers,
  integers,
  isFloatArray,
  type Numbers,
} from "./numbers.js";
import { areUnshifted, type PlacedRows, placeRows, shiftInPython, type TokenRows } from "./token-rows.js";

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
  /**
   * wᵢ, one for each label or one for each row: the loss is Σ wᵢ·lossᵢ ÷ Σ|wᵢ| over the labels that count. Advantages, also
   * negative, make it a policy gradient's (Williams 1992).
   */
  weights?: Numbers;
}

/**
 * Preferences: rows alternate, an answer that was chosen and the one that was rejected; labels of the question are −100. The
 * loss is that of direct preference optimisation (Rafailov et al. 2023), a mean over pairs:
 * −log σ(β·((log π − log π_ref)(chosen) − (log π − log π_ref)(rejected))).
 */
export interface PreferenceData extends Omit<TokenData, "weights"> {
  /** log π_ref of each row: the sum over its labels that count, in nats, of the reference model. */
  referenceLogProbabilities: Numbers;
  /** β > 0. Default 0.1. */
  beta?: number;
  /** Share of preferences that are taken to be wrong, in [0, 1) (conservative DPO). Default 0. */
  labelSmoothing?: number;
}

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
    const { inputIds, labels, shape, attentionMask, positionIds, labelsAreShifted } = data;
    const [batch, sequence] = checkShape(shape, "data.shape", 2) as [number, number];
    const count = batch * sequence;
    const rows = {
      inputIds: integers(inputIds, "data.inputIds", count),
      labels: integers(labels, "data.labels", count),
      weights: weights === undefined ? undefined : labelWeights(weights, batch, sequence),
      shape: [batch, sequence] as const,
    };
    const placed = place(rows, attentionMask, positionIds);
    const shifted = labelsAreShifted !== undefined && checkBoolean(labelsAreShifted, "data.labelsAreShifted");
    if (!shifted && areUnshifted(placed))
      throw expected(
        `labels shifted by one, labels[b, t] the token after inputIds[b, t] (in Python: ${shiftInPython}), or labelsAreShifted: true (in a file, the metadata {"labels": "shifted"}),`,
        "data.labels",
        "inputIds themselves",
        "range",
      );
    const handle = native().createTokenBatch(
      placed.inputIds,
      placed.labels,
      placed.shape,
      placed.relativePositions,
    );
    return { batch: withWeights(handle, placed.weights), count: batch };
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

/** A weight for each label, from one for each or one for each row. */
function labelWeights(value: unknown, rows: number, length: number): Float64Array {
  const given = floats(value, "data.weights", rows);
  if (given.length === rows * length) return Float64Array.from(given);
  if (given.length !== rows)
    throw expected(
      `${rows * length} numbers, one for each label, or ${rows}, one for each row,`,
      "data.weights",
      given.length,
      "range",
    );
  const out = new Float64Array(rows * length);
  for (let row = 0; row < rows; row++) out.fill(given[row] as number, row * length, (row + 1) * length);
  return out;
}

/** Rows as they are, without a mask and positions. */
function place(
  rows: TokenRows,
  mask: unknown,
  positions: unknown,
): TokenRows & Pick<PlacedRows, "relativePositions"> {
  if (mask === undefined && positions === undefined) return { ...rows, relativePositions: false };
  const count = rows.inputIds.length;
  const taken = (value: unknown, subject: string) => {
    const given = integers(value, subject, count);
    return given instanceof Int32Array ? given : as32(given, subject);
  };
  return placeRows(
    {
      inputIds: taken(rows.inputIds, "data.inputIds"),
      labels: taken(rows.labels, "data.labels"),
      weights: rows.weights,
      shape: rows.shape,
    },
    {
      ...(mask !== undefined && { attentionMask: taken(mask, "data.attentionMask") }),
      ...(positions !== undefined && { positionIds: taken(positions, "data.positionIds") }),
    },
  );
}
