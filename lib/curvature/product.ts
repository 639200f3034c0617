import { EigenvalueDecomposition } from "ml-matrix";
import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import { batchSchema, Curvature, type Direction, directionSchema, modelSchema } from "../models/index.js";
import { count, flags, type OptionsOf, seedSchema, signalSchema } from "../options/index.js";

/** Which matrix is looked at. */
export const curvatureOptions = {
  model: modelSchema,
  /** The batch whose mean loss has this curvature. */
  batch: batchSchema,
  /** The loss's Hessian H (default), or the Gauss–Newton matrix in its place. */
  operator: z
    .enum(["hessian", "gauss-newton"])
    .default("hessian")
    .describe("The matrix: the loss's Hessian, or the Gauss–Newton matrix.")
    .register(flags, { flag: "--operator <name>" }),
  /** P, the diagonal that an optimizer's `preconditioner()` gives: P^(−½)HP^(−½) is looked at in place of H. */
  preconditioner: directionSchema.optional(),
  /** Rows or sequences at a time. Default: all at once. */
  microBatch: count
    .optional()
    .describe("Rows or sequences at a time: bounds the memory. Default: all at once.")
    .register(flags, { flag: "--micro-batch <n>" }),
  /** Of everything that is drawn: the same seed gives the same result, bit for bit. Default 0. */
  seed: seedSchema.default(0).describe("Of the first vector.").register(flags, { flag: "--seed <n>" }),
  signal: signalSchema.optional(),
};

const curvatureSchema = z.strictObject(curvatureOptions);
export type CurvatureOptions = OptionsOf<typeof curvatureOptions>;
export type CheckedCurvature = z.output<typeof curvatureSchema>;

/** How an eigenvalue is searched. */
export const hessianKeys = {
  tolerance: z.number().gt(0).lt(1).default(0.02).describe("‖Au − λu‖ ≤ tolerance·‖A‖."),
  maximumIterations: count.default(60).describe("Most Hessian-vector products for one eigenvalue."),
};

/** Products with the matrix A of some options: H, or P^(−½)HP^(−½). */
export class CurvatureProduct {
  products = 0;
  /** ∇L·x of the last product, without a preconditioner. */
  slope = Number.NaN;
  readonly #curvature: Curvature;
  readonly #signal: AbortSignal | undefined;
  readonly #scaling: Direction | undefined;
  readonly #version: number;

  private constructor(curvature: Curvature, scaling: Direction | undefined, signal: AbortSignal | undefined) {
    this.#curvature = curvature;
    this.#scaling = scaling;
    this.#signal = signal;
    this.#version = curvature.model.version;
  }

  static async open(
    { model, batch, operator, microBatch, preconditioner, signal }: Omit<CheckedCurvature, "seed">,
    options: { keep?: boolean } = {},
  ): Promise<CurvatureProduct> {
    const scaling = await preconditioner?.inverseSquareRoot();
    try {
      return new CurvatureProduct(
        new Curvature(model, batch, { operator, microBatch, ...options }),
        scaling,
        signal,
      );
    } catch (error) {
      scaling?.dispose();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#curvature.dispose();
    this.#scaling?.dispose();
  }

  /** A·x */
  async of(x: Direction): Promise<Direction> {
    const scaling = this.#scaling;
    using scaled = await scaling?.multiply(x);
    const product = await this.#unscaled(scaled ?? x);
    if (!scaling) return product;
    using inner = product;
    return scaling.multiply(inner);
  }

  /** xᵀA·x */
  async along(x: Direction): Promise<number> {
    using scaled = await this.#scaling?.multiply(x);
    const vector = scaled ?? x;
    using product = await this.#unscaled(vector);
    const value = await vector.dot(product);
    if (!Number.isFinite(value))
      throw new CriticalSharpnessError(
        "ERR_NON_FINITE_CURVATURE",
        `Expected a finite number for the curvature along a direction but received ${value}`,
      );
    return value;
  }

  async #unscaled(x: Direction): Promise<Direction> {
    const { product, slope, version } = await this.#curvature.product(x, { signal: this.#signal });
    this.products++;
    this.slope = slope;
    if (version !== this.#version) {
      product.dispose();
      throw new CriticalSharpnessError(
        "ERR_WEIGHTS_CHANGED",
        `Expected unchanged weights during a measurement but received version ${version} after ${this.#version}`,
      );
    }
    return product;
  }
}

export interface Eigenpair {
  value: number;
  vector: number[];
}

/** Eigenpairs of a small symmetric matrix, the largest eigenvalue first. */
export function symmetricEigenpairs(matrix: readonly (readonly number[])[]): Eigenpair[] {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    matrix.map((row) => [...row]),
    { assumeSymmetric: true },
  );
  return realEigenvalues
    .map((value, i) => ({ value, vector: eigenvectorMatrix.getColumn(i) }))
    .sort((a, b) => b.value - a.value);
}
