import { EigenvalueDecomposition } from "ml-matrix";
import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import {
  type Batch,
  Curvature,
  checkBatch,
  checkDirection,
  checkModel,
  type Direction,
  type Model,
} from "../models/index.js";
import { checkChoice, checkNumber, checkSignal, count, or } from "../options/index.js";
import type { CurvatureOperator } from "../torch/index.js";

/** Which matrix is looked at. */
export interface CurvatureOptions {
  model: Model;
  /** The batch whose mean loss has this curvature. */
  batch: Batch;
  /** The loss's Hessian H (default), or the Gauss–Newton matrix in its place. */
  operator?: CurvatureOperator;
  /** P, the diagonal that an optimizer's `preconditioner()` gives: P^(−½)HP^(−½) is looked at in place of H. */
  preconditioner?: Direction;
  /** Rows or sequences at a time. Default: all at once. */
  microBatch?: number;
  /** Of everything that is drawn: the same seed gives the same result, bit for bit. Default 0. */
  seed?: number;
  signal?: AbortSignal;
}

export const curvatureNames = [
  "model",
  "batch",
  "operator",
  "preconditioner",
  "microBatch",
  "seed",
  "signal",
] as const;

export interface CheckedCurvature {
  model: Model;
  batch: Batch;
  operator: CurvatureOperator;
  preconditioner: Direction | undefined;
  microBatch: number | undefined;
  seed: number;
  signal: AbortSignal | undefined;
}

export function checkCurvature(given: Record<string, unknown>): CheckedCurvature {
  return {
    model: checkModel(given.model),
    batch: checkBatch(given.batch, "batch"),
    operator:
      given.operator === undefined
        ? "hessian"
        : checkChoice<CurvatureOperator>(given.operator, "options.operator", ["hessian", "gauss-newton"]),
    preconditioner:
      given.preconditioner === undefined
        ? undefined
        : checkDirection(given.preconditioner, "options.preconditioner"),
    microBatch:
      given.microBatch === undefined
        ? undefined
        : checkNumber(given.microBatch, "options.microBatch", { minimum: 1, integer: true }),
    seed: checkNumber(or(given.seed, 0), "options.seed", { minimum: 0, integer: true }),
    signal: checkSignal(given.signal, "options.signal"),
  };
}

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
    { model, batch, operator, microBatch, preconditioner, signal }: CheckedCurvature,
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
