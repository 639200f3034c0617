import type { NativeCancelToken, NativeDisposable } from "./handle.js";
import type { NativeVector } from "./vector.js";

/** The loss's Hessian, or the Gauss–Newton matrix: with the Hessian of the loss in the network's outputs alone. */
export type CurvatureOperator = "hessian" | "gauss-newton";

/** A curvature of a batch's mean loss at a model's weights of the moment. */
export interface NativeCurvature extends NativeDisposable {
  /** Its exact product with `vector`, and the slope ∇L·vector. Float32 and float64 compute only. */
  product(
    vector: NativeVector,
    options: { cancel?: NativeCancelToken },
  ): Promise<{ product: NativeVector; slope: number; version: number }>;
}

/** A·q = Σ coefficientsᵢ·qᵢ + beta·(the next vector), where q was the basis' last vector. */
export interface NativeKrylovStep {
  coefficients: number[];
  beta: number;
  /** The basis spans the whole space, or a number was not finite (`beta`, then): there is no next vector. */
  exhausted: boolean;
  /** The model's version that the product was computed with. */
  version: number;
}

/** An orthonormal basis of vectors, each made of the one before by A = S·curvature·S. It accounts for what the curvature keeps. */
export interface NativeKrylov extends NativeDisposable {
  /** Vectors in the basis. */
  readonly size: number;
  /** Starts a basis from a vector or (null) a random one. False: it is zero or not finite. */
  start(first: NativeVector | null): Promise<boolean>;
  /** One product, orthogonalised twice against the whole basis. A cancelled step leaves the basis as it was. */
  step(options: { cancel?: NativeCancelToken }): Promise<NativeKrylovStep>;
  /** Keeps these combinations of all vectors but the last, and the last after them. */
  restart(combinations: readonly (readonly number[])[]): Promise<void>;
  /** Σ coefficientsᵢ·qᵢ over the first vectors. */
  combination(coefficients: readonly number[]): Promise<NativeVector>;
}
