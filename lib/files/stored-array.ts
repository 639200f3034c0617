import type { FilePiece } from "../torch/index.js";
import type { StoredDtype, StoredTensor } from "./safetensors.js";

/** A box of a tensor's numbers, where they lie in a file: little-endian, strides in numbers. */
export type StoredPiece = FilePiece;

/** A tensor in one file or in several. Its pieces have each of its numbers once. */
export interface StoredArray {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly pieces: readonly StoredPiece[];
}

/** The place of the one row-major block that a tensor is, if it is one. */
export function contiguousPlace({ shape, pieces }: StoredArray): StoredPiece | undefined {
  const [piece] = pieces;
  if (!piece || pieces.length > 1) return undefined;
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    if (size !== 1 && piece.strides[axis] !== stride) return undefined;
    stride *= size;
  }
  return piece;
}

/** A tensor of a safetensors file. */
export function storedArray(path: string, { dtype, shape, byteOffset }: StoredTensor): StoredArray {
  const strides = rowMajorStrides(shape);
  return { dtype, shape, pieces: [{ path, byteOffset, strides, start: shape.map(() => 0), shape }] };
}

/** Of a block in which each row's numbers stand side by side. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= Math.max(1, shape[axis] as number);
  }
  return strides;
}
