import { checkInstance, checkNumber, checkOptions } from "../checks.js";
import { withSignal } from "../native/cancel.js";
import { native } from "../native/load.js";
import { Owner } from "../native/owner.js";
import type { CurvatureOperator, NativeKrylov, NativeKrylovStep } from "../native/surface.js";
import { Batch } from "./batch.js";
import { Direction } from "./direction.js";
import { checkOperator, Model } from "./model.js";

export interface KrylovOptions {
  /** Default `hessian`. */
  operator?: CurvatureOperator;
  /** S, a diagonal: the operator is S·H·S. Default: 1. */
  scaling?: Direction;
  /** Rows or sequences at a time. Default: all at once. */
  microBatch?: number;
  /** Of random vectors. Default 0. */
  seed?: number;
}

/**
 * An orthonormal basis of directions, each made of the one before by the curvature of a batch's loss. The vectors stay in
 * native memory: one copy of the weights each.
 */
export class KrylovBasis extends Owner<NativeKrylov> {
  readonly #model: Model;

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: Model, batch: Batch, options: KrylovOptions = {}) {
    const { operator, scaling, microBatch, seed = 0 } = checkOptions(options, "options");
    const handle = native().createKrylov(
      checkInstance(model, "model", Model, "a Model").handle,
      checkInstance(batch, "batch", Batch, "a Batch").handle,
      {
        operator: checkOperator(operator),
        scaling:
          scaling === undefined
            ? null
            : checkInstance(scaling, "options.scaling", Direction, "a Direction").handle,
        microBatch:
          microBatch === undefined
            ? 0
            : checkNumber(microBatch, "options.microBatch", { minimum: 1, integer: true }),
        seed: checkNumber(seed, "options.seed", { minimum: 0, integer: true }),
      },
    );
    super(handle);
    this.#model = model;
  }

  /** Vectors in the basis. */
  get size(): number {
    return this.handle.size;
  }

  /** Starts a basis from a direction, or a random one. False: it is zero or not finite. */
  async start(first?: Direction): Promise<boolean> {
    return this.handle.start(first ? checkInstance(first, "first", Direction, "a Direction").handle : null);
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
