import { CriticalSharpnessError } from "../errors.js";
import type { Direction } from "../models/index.js";
import { KrylovBasis } from "../models/index.js";
import type { CheckedCurvature } from "./options.js";
import { type Eigenpair, symmetricEigenpairs } from "./product.js";

/** An approximate eigenpair: its vector in coordinates of the basis, and ‖Au − λu‖. */
export interface RitzPair extends Eigenpair {
  residual: number;
}

/**
 * A Krylov space of the curvature A, and what A is within it.
 *
 * Every product A·q is decomposed completely: its part within the basis Q is kept as a column of QᵀAQ, what is left over
 * is the next vector. Hence the residual ‖Au − λu‖ of a Ritz vector u = Qy follows without another product, rounding
 * of the products included.
 */
export class KrylovSpace {
  /** Products so far. */
  products = 0;
  /** There is no next vector. */
  exhausted = false;
  readonly #basis: KrylovBasis;
  readonly #curvature: CheckedCurvature;
  readonly #version: number;
  /** QᵀAQ, over the vectors that were multiplied. */
  #matrix: number[][] = [];
  /** (the next vector)·A·qᵢ */
  #next: number[] = [];

  private constructor(basis: KrylovBasis, curvature: CheckedCurvature) {
    this.#basis = basis;
    this.#curvature = curvature;
    this.#version = curvature.model.version;
  }

  static async open(curvature: CheckedCurvature): Promise<KrylovSpace> {
    const { model, batch, operator, preconditioner, microBatch, seed } = curvature;
    // The native basis keeps what it needs of it.
    using scaling = await preconditioner?.inverseSquareRoot();
    return new KrylovSpace(new KrylovBasis(model, batch, { operator, scaling, microBatch, seed }), curvature);
  }

  [Symbol.dispose](): void {
    this.#basis.dispose();
  }

  /** Vectors that were multiplied. */
  get size(): number {
    return this.#matrix.length;
  }

  /** Begins anew, from a direction or a random one. */
  async start(first?: Direction): Promise<void> {
    this.#matrix = [];
    this.#next = [];
    this.exhausted = false;
    if (!(await this.#basis.start(first)))
      throw new CriticalSharpnessError(
        "ERR_START_VECTOR",
        "Expected finite numbers, not all zero, for the first vector but received others",
      );
  }

  /** Multiplies the last vector. */
  async step(): Promise<void> {
    const { coefficients, beta, exhausted, version } = await this.#basis.step(this.#curvature.signal);
    this.products++;
    if (version !== this.#version)
      throw new CriticalSharpnessError(
        "ERR_WEIGHTS_CHANGED",
        `Expected unchanged weights during a measurement but received version ${version} after ${this.#version}`,
      );
    if (!Number.isFinite(beta) || !coefficients.every(Number.isFinite))
      throw new CriticalSharpnessError(
        "ERR_NON_FINITE_CURVATURE",
        "Expected finite numbers for the product of the curvature with a direction but received others",
      );
    this.#matrix.forEach((row, i) => {
      row.push(coefficients[i] as number);
    });
    this.#matrix.push([...this.#next, coefficients.at(-1) as number]);
    this.#next = [...Array<number>(coefficients.length - 1).fill(0), beta];
    this.exhausted = exhausted;
  }

  /** Eigenpairs of A within the space, the largest eigenvalue first. */
  ritzPairs(): RitzPair[] {
    const matrix = this.#matrix;
    const symmetric = matrix.map((row, i) =>
      row.map((entry, j) => (entry + ((matrix[j] as number[])[i] as number)) / 2),
    );
    return symmetricEigenpairs(symmetric).map(({ value, vector }) => {
      const within = matrix.map((row, i) => dot(row, vector) - value * (vector[i] as number));
      return { value, vector, residual: Math.hypot(...within, dot(this.#next, vector)) };
    });
  }

  /** Shrinks the space to that of some Ritz vectors and the next vector (thick restart, Wu & Simon 2000). */
  async restart(kept: readonly RitzPair[]): Promise<void> {
    const vectors = kept.map((pair) => pair.vector);
    await this.#basis.restart(vectors);
    const images = vectors.map((y) => this.#matrix.map((row) => dot(row, y)));
    this.#next = vectors.map((y) => dot(this.#next, y));
    this.#matrix = vectors.map((y) => images.map((image) => dot(y, image)));
  }

  async vector(coordinates: readonly number[]): Promise<Direction> {
    return this.#basis.combination(coordinates);
  }

  /** The last product A·q, relative to the basis: for a basis of one vector q, the coordinates of A·q. */
  get lastProduct(): number[] {
    const column = this.#matrix.map((row) => row.at(-1) as number);
    return this.exhausted ? column : [...column, this.#next.at(-1) as number];
  }
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
}
