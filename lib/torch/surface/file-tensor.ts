/** Element type of stored tensors. */
export type StorageDtype = "float32" | "float64" | "bfloat16" | "float16" | "int64";

/** A box of a tensor within a file: `strides` in numbers, and where it begins in the tensor. */
export interface FilePiece {
  readonly path: string;
  readonly byteOffset: number;
  readonly strides: readonly number[];
  readonly start: readonly number[];
  readonly shape: readonly number[];
}

/** A tensor's bytes within a file: row-major, little-endian, `byteOffset` from the start of the file. */
export interface FileBlock {
  path: string;
  byteOffset: number;
  dtype: StorageDtype;
}

/** A tensor in files: in one place, or pieces that have each of its numbers once. */
export type FileTensor = FileBlock | { dtype: StorageDtype; pieces: readonly FilePiece[] };
