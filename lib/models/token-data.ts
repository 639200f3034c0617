import { expected } from "../errors.js";
import { checkBoolean } from "../options/index.js";
import { as32, checkShape, floats, type Integers, integers, type Numbers } from "./numbers.js";
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

/** Rows as native code takes them. */
type NativeRows = TokenRows & Pick<PlacedRows, "relativePositions">;

/** The rows as they are placed, and how many there were. @throws TypeError, RangeError */
export function readTokenRows(
  data: Record<string, unknown>,
  weights: unknown,
): { rows: NativeRows; count: number } {
  const { inputIds, labels, shape, attentionMask, positionIds, labelsAreShifted } = data;
  const [batch, sequence] = checkShape(shape, "data.shape", 2) as [number, number];
  const count = batch * sequence;
  const given = {
    inputIds: integers(inputIds, "data.inputIds", count),
    labels: integers(labels, "data.labels", count),
    weights: weights === undefined ? undefined : labelWeights(weights, batch, sequence),
    shape: [batch, sequence] as const,
  };
  const rows = place(given, attentionMask, positionIds);
  const shifted = labelsAreShifted !== undefined && checkBoolean(labelsAreShifted, "data.labelsAreShifted");
  if (!shifted && areUnshifted(rows))
    throw expected(
      `labels shifted by one, labels[b, t] the token after inputIds[b, t] (in Python: ${shiftInPython}), or labelsAreShifted: true (in a file, the metadata {"labels": "shifted"}),`,
      "data.labels",
      "inputIds themselves",
      "range",
    );
  return { rows, count: batch };
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
function place(rows: TokenRows, mask: unknown, positions: unknown): NativeRows {
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
