import type { NativeCancelOptions, NativeDisposable } from "./handle.js";

/**
 * One tensor (or none, meaning zeros) for each parameter of a model: a gradient, a direction, a preconditioner's diagonal. One
 * that is not stored is made where it is read: `ERR_STALE_DIRECTION` once what it is made of has changed, and
 * `ERR_DIRECTION_NOT_STORED` where only a stored one will do.
 */
export interface NativeVector extends NativeDisposable {
  /** This process's in the group of its model, and how many there are; 0 and 1 alone. */
  readonly rank: number;
  readonly ranks: number;
  readonly byteLength: number;
  readonly stored: boolean;
  /** A new, stored vector of the same numbers. */
  store(options?: NativeCancelOptions): Promise<NativeVector>;
  dot(other: NativeVector, options?: NativeCancelOptions): Promise<number>;
  norm(options?: NativeCancelOptions): Promise<number>;
  /** A new vector, k times this one. */
  scale(k: number, options?: NativeCancelOptions): Promise<NativeVector>;
  /** A new vector: the elementwise product. */
  multiply(other: NativeVector, options?: NativeCancelOptions): Promise<NativeVector>;
  /** A new vector of 1/√x. Rejects (`ERR_OUT_OF_RANGE`) unless every x is positive. */
  inverseSquareRoot(options?: NativeCancelOptions): Promise<NativeVector>;
  /** A new vector that shares the kept parameters' tensors and is zero elsewhere. */
  mask(keep: readonly boolean[]): NativeVector;
  has(index: number): boolean;
  /** As `NativeModel.read`. A parameter without a tensor reads as zeros. */
  read(index: number, byteOffset: number, length: number): Promise<ArrayBuffer>;
}

/** A direction's part in a parameter: its numbers, or, of a matrix, scale·left·right of [rows, rank] and [rank, columns]. */
export type NativePart =
  | { numbers: Float32Array | Float64Array }
  | {
      left: Float32Array | Float64Array;
      right: Float32Array | Float64Array;
      rank: number;
      scale: number;
    };
