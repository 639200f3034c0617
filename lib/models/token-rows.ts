import { expected } from "../errors.js";

/** Integers as native code reads them. */
export type TypedIntegers = BigInt64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/** Token sequences, row-major [batch, sequence]. */
export interface TokenRows<Ids extends TypedIntegers = TypedIntegers> {
  inputIds: Ids;
  labels: Ids;
  /** Of the labels. */
  weights?: Float64Array | undefined;
  shape: readonly [batch: number, sequence: number];
}

/** What transformers' collators write beside them, of the same shape. */
export interface Placement {
  /** 0: a padding token, which nothing attends to. */
  attentionMask?: Int32Array;
  /** Without a mask, a row holds a sequence for each time that they start again (packing). */
  positionIds?: Int32Array;
}

export interface PlacedRows extends TokenRows<Int32Array> {
  /** Some sequence's first token is not at position 0: of no consequence to rotary positions, which are relative. */
  relativePositions: boolean;
}

/** Tokens [start, end) of a row. */
interface Sequence {
  row: number;
  start: number;
  end: number;
}

const ignored = -100;

/** How labels are shifted in Python. */
export const shiftInPython =
  "labels = torch.nn.functional.pad(labels, (0, 1), value=-100)[..., 1:].contiguous()";

/**
 * Whether labels of rows of one sequence each are the input ids of their own places, as Hugging Face's collators write them
 * (their models shift them within): all that count are, and one at least is not the id that follows.
 */
export function areUnshifted({ inputIds, labels, shape: [rows, length] }: TokenRows): boolean {
  const ids = lowWords(inputIds);
  const own = lowWords(labels);
  const count = rows * length;
  const labelAt = (at: number) => own.words[at * own.step] as number;
  const idAt = (at: number) => ids.words[at * ids.step] as number;
  // Labels that were shifted end this at once.
  for (let at = 0; at < count; at++) {
    const label = labelAt(at);
    if (label !== ignored && label !== idAt(at)) return false;
  }
  let followed = 0;
  let contradictions = 0;
  let last = 0;
  for (let at = 0; at < count; at++) {
    const label = labelAt(at);
    if (label === ignored) continue;
    // What follows a label without one after it may be padding.
    if ((at + 1) % length !== 0 && labelAt(at + 1) !== ignored) {
      followed++;
      if (label !== idAt(at + 1)) contradictions++;
    } else if (at % length !== 0 && label !== idAt(at - 1)) last++;
  }
  // Where no two labels are neighbours, two that repeat nothing are no accident.
  return followed > 0 ? contradictions > 0 : last > 1;
}

/** The lower halves of 64-bit integers, which ids fit in: a BigInt each would be slow. Others as they are. */
function lowWords(integers: TypedIntegers): { words: Exclude<TypedIntegers, BigInt64Array>; step: number } {
  if (!(integers instanceof BigInt64Array)) return { words: integers, step: 1 };
  return { words: new Int32Array(integers.buffer, integers.byteOffset, 2 * integers.length), step: 2 };
}

/**
 * Rows of one sequence each, from their first place on: what causal attention computes of them is what transformers
 * computes of rows that are padded or packed, for padding at the end and labels of −100 change nothing, and positions
 * count from a sequence's start. Rows that are so already are left as they are. Of the others, tokens after the last label
 * that counts are left out.
 *
 * @throws RangeError, TypeError where mask and positions say what such rows cannot express.
 */
export function placeRows(
  rows: TokenRows<Int32Array>,
  { attentionMask, positionIds }: Placement,
): PlacedRows {
  if (!attentionMask && !positionIds) return { ...rows, relativePositions: false };
  const [count, length] = rows.shape;
  const sequences: Sequence[] = [];
  for (let row = 0; row < count; row++)
    sequences.push(
      ...(attentionMask
        ? unmasked(row, rows, attentionMask, positionIds)
        : packed(row, length, positionIds as Int32Array)),
    );
  const firstOf = ({ row, start }: Sequence) => (positionIds ? positionIds[row * length + start] : start);
  const counted = sequences
    .map((sequence) => ({ ...sequence, end: lastLabel(sequence, rows) }))
    .filter(({ start, end }) => end > start);
  const relativePositions = counted.some((sequence) => firstOf(sequence) !== 0);
  const alone =
    sequences.length === count && sequences.every(({ row, start }, i) => row === i && start === 0);
  if (alone || counted.length === 0) return { ...rows, relativePositions };

  const width = Math.max(...counted.map(({ start, end }) => end - start));
  const inputIds = new Int32Array(counted.length * width);
  const labels = new Int32Array(counted.length * width).fill(ignored);
  const weights = rows.weights && new Float64Array(counted.length * width);
  for (const [i, { row, start, end }] of counted.entries()) {
    const from = row * length + start;
    const to = row * length + end;
    inputIds.set(rows.inputIds.subarray(from, to), i * width);
    labels.set(rows.labels.subarray(from, to), i * width);
    if (rows.weights) weights?.set(rows.weights.subarray(from, to), i * width);
  }
  return { inputIds, labels, weights, shape: [counted.length, width], relativePositions };
}

/** The end of a sequence that is cut after the last of its labels that counts. */
function lastLabel(
  { row, start, end }: Sequence,
  { labels, shape: [, length] }: TokenRows<Int32Array>,
): number {
  let cut = end;
  while (cut > start && labels[row * length + cut - 1] === ignored) cut--;
  return cut;
}

/** The one run of tokens that are attended to. */
function unmasked(
  row: number,
  { labels, shape: [, length] }: TokenRows<Int32Array>,
  mask: Int32Array,
  positions: Int32Array | undefined,
): Sequence[] {
  const at = row * length;
  let start = length;
  let end = 0;
  for (let t = 0; t < length; t++) {
    const value = mask[at + t];
    if (value !== 0 && value !== 1)
      throw expected("0 or 1", `data.attentionMask[${row}, ${t}]`, value, "range");
    if (value === 1) {
      start = Math.min(start, t);
      if (end > 0 && end !== t)
        throw expected(
          "padding at the start or at the end of a row, not within,",
          `data.attentionMask[${row}, ${end}]`,
          0,
          "range",
        );
      end = t + 1;
    } else if (labels[at + t] !== ignored)
      throw expected(
        "the label -100 where attentionMask is 0 (in Python: labels = labels.masked_fill(attention_mask == 0, -100))",
        `data.labels[${row}, ${t}]`,
        labels[at + t],
        "range",
      );
  }
  for (let t = start + 1; positions && t < end; t++)
    if (positions[at + t] !== (positions[at + t - 1] as number) + 1)
      throw expected(
        "positions that rise by 1 where attentionMask is 1 (for packed sequences, leave attentionMask out),",
        `data.positionIds[${row}, ${t}]`,
        positions[at + t],
        "range",
      );
  return start < end ? [{ row, start, end }] : [];
}

/** A sequence for each time that positions start again. */
function packed(row: number, length: number, positions: Int32Array): Sequence[] {
  const at = row * length;
  const found: Sequence[] = [];
  let start = 0;
  for (let t = 1; t <= length; t++) {
    if (t < length && positions[at + t] === (positions[at + t - 1] as number) + 1) continue;
    if (t < length && positions[at + t] !== 0)
      throw expected(
        "positions that rise by 1 or start again at 0 (of padded rows, give attentionMask too)",
        `data.positionIds[${row}, ${t}]`,
        positions[at + t],
        "range",
      );
    found.push({ row, start, end: t });
    start = t;
  }
  return found;
}
