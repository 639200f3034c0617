import { withSignal } from "../native/cancel.js";
import { native } from "../native/load.js";
import { Owner } from "../native/owner.js";
import type { NativeKrylov, NativeKrylovStep } from "../native/surface.js";
import type { Batch } from "./batch.js";
import { Curvature, type ProductOptions } from "./curvature.js";
import { Direction } from "./direction.js";
import type { Model } from "./model.js";

export interface KrylovOptions extends ProductOptions {
  /** S, a diagonal: the operator is S·curvature·S. Default: 1. */
  scaling?: Direction;
  /** Of random vectors. */
  seed: number;
}

/**
 * An orthonormal basis of directions, each made of the one before by the curvature of a batch's loss. The vectors stay in
 * native memory: one copy of the weights each.
 */
export class KrylovBasis extends Owner<NativeKrylov> {
  readonly #model: Model;

  constructor(model: Model, batch: Batch, { scaling, seed, ...options }: KrylovOptions) {
    using curvature = new Curvature(model, batch, options); // what the basis needs of it, it keeps
    super(native().createKrylov(curvature.handle, { scaling: scaling?.handle ?? null, seed }));
    this.#model = model;
  }

  /** Starts a basis from a direction, or a random one. False: it is zero or not finite. */
  async start(first?: Direction): Promise<boolean> {
    return this.handle.start(first?.handle ?? null);
  }

  /** One product with the last vector, orthogonalised against all of them; one vector more. */
  async step(signal?: AbortSignal): Promise<NativeKrylovStep> {
    return withSignal(signal, (cancel) => this.handle.step({ cancel }));
  }

  /** Keeps these combinations of all vectors but the last, and the last after them. */
  async restart(combinations: readonly (readonly number[])[]): Promise<void> {
    await this.handle.restart(combinations);
  }

  /** Σ coefficientsᵢ·qᵢ over the first vectors. */
  async combination(coefficients: readonly number[]): Promise<Direction> {
    return Direction.of(this.#model, await this.handle.combination(coefficients));
  }
}
