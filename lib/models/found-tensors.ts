import { type CriticalSharpnessError, unusable } from "../errors.js";
import type { StoredPiece, StoredTensor } from "../files/index.js";
import type { FileTensor } from "../torch/index.js";

export interface FoundTensor extends StoredTensor {
  path: string;
  /** Of one that does not lie in one row-major block; `path` and `byteOffset` mean nothing then. */
  pieces?: readonly StoredPiece[];
}

/** Where a tensor's numbers lie, as native code has it. */
export const fileTensor = (
  { path: file, byteOffset, pieces }: FoundTensor,
  dtype: FileTensor["dtype"],
): FileTensor => (pieces ? { pieces, dtype } : { path: file, byteOffset, dtype });

/** @throws CriticalSharpnessError `ERR_MODEL_FILE` for one that does not lie in one block, where that is needed. */
export function inOneBlock(tensor: FoundTensor): FoundTensor {
  if (!tensor.pieces) return tensor;
  throw badModelFile(
    tensor.path,
    `tensor "${tensor.name}" in one block (in Python \`.contiguous()\` makes it one)`,
    "one in pieces or with strides",
  );
}

export interface FoundTensors {
  tensors: Map<string, FoundTensor>;
  /** The one file of weights, or the index of several. */
  source: string;
}

export function badModelFile(file: string, what: string, received: string): CriticalSharpnessError {
  return unusable("ERR_MODEL_FILE", what, `"${file}"`, received);
}
