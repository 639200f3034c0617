import * as z from "zod";
import { checkInstance, count, type OptionsOf, readOptions } from "../options/index.js";
import {
  type NativeCurvature,
  type NativeKrylov,
  type NativeKrylovStep,
  native,
  Owner,
  type SignalOptions,
  stoppable,
} from "../torch/index.js";

import { Batch } from "./batch.js";
import { Direction } from "./direction.js";
import { Model } from "./model.js";

const productOptions = {
  /** The loss's Hessian (default), or the Gauss–Newton matrix: with the Hessian of the loss in the network's outputs alone. */
  operator: z.enum(["hessian", "gauss-newton"]).default("hessian"),
  /** Rows or sequences at a time: bounds the memory of activations. Default: all at once. */
  microBatch: count.optional(),
  /**
   * Keep between products what they have in common, activations and their gradients: a quarter less time for each further
   * product. Without effect where there are several micro-batches. Default true.
   */
  keep: z.boolean().default(true),
};

const productSchema = z.strictObject(productOptions);
export type ProductOptions = OptionsOf<typeof productOptions>;

/** The product of a curvature with a direction. */
export interface CurvatureProductResult {
  product: Direction;
  /** ∇L·direction, which comes with it. */
  slope: number;
  /** The model's `version` that both belong to. */
  version: number;
}

/**
 * The matrix of second derivatives of a batch's mean loss in a model's weights, as a function: it is never made, its products
 * with directions are exact. It follows the weights: a product is that at the weights of its moment.
 */
export class Curvature extends Owner<NativeCurvature> {
  readonly model: Model;

  /** @throws TypeError, RangeError naming the option, or if the batch does not fit the model. */
  constructor(model: Model, batch: Batch, options: ProductOptions = {}) {
    const { microBatch = 0, ...given } = readOptions(productSchema, options);
    const handle = native().createCurvature(
      checkInstance(model, "model", Model, "a Model").handle,
      checkInstance(batch, "batch", Batch, "a Batch").handle,
      { ...given, microBatch },
    );
    super(handle);
    this.model = model;
  }

  /** @throws AbortError; RangeError for a model that computes in bfloat16: use float32. */
  async product(direction: Direction, options: SignalOptions = {}): Promise<CurvatureProductResult> {
    const vector = checkInstance(direction, "direction", Direction, "a Direction").handle;
    const result = await stoppable(options, (cancel) => this.handle.product(vector, cancel));
    return { ...result, product: Direction.of(this.model, result.product) };
  }
}

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
    return stoppable({ signal }, (cancel) => this.handle.step(cancel));
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
