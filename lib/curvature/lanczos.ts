import { CriticalSharpnessError } from "../errors.js";
import { type Direction, KrylovBasis } from "../models/index.js";
import type { HessianResult, Solve } from "./hessian.js";
import { type CheckedCurvature, type Eigenpair, symmetricEigenpairs } from "./product.js";

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

/** Lanczos with full reorthogonalisation and thick restarts. */
export async function lanczos(space: KrylovSpace, solve: Solve): Promise<HessianResult> {
  const { count, which, tolerance, maximumIterations, basisSize, onIteration } = solve;
  const wanted = which === "both-ends" ? 2 * count : count;
  await space.start(solve.initial);
  for (;;) {
    await space.step();
    const pairs = space.ritzPairs();
    const chosen = choose(pairs, wanted, which);
    onIteration?.({
      iteration: space.products,
      eigenvalues: chosen.map((pair) => pair.value),
      residuals: chosen.map((pair) => pair.residual),
    });
    // Rounding leaves residuals of the size of A, so that an eigenvalue of zero has none that is small against itself.
    const norm = Math.max(...pairs.map(({ value }) => Math.abs(value)));
    // A start in the null space says nothing of the rest: a random vector must be seen too.
    const seen = norm > 0 || space.products > wanted || space.exhausted;
    const converged =
      seen && chosen.length === wanted && chosen.every(({ residual }) => residual <= tolerance * norm);
    if (converged || space.exhausted || space.products >= maximumIterations)
      return finish(space, solve, chosen, converged);
    // Beside what is wanted, the half of the rest that is next to it: it carries most of what was learned.
    if (space.size >= basisSize)
      await space.restart(choose(pairs, wanted + Math.ceil((basisSize - wanted) / 3), which));
  }
}

/** Some of the pairs that are in descending order: the `count` that lie where `which` says, in its order. */
function choose(pairs: readonly RitzPair[], count: number, which: Solve["which"]): RitzPair[] {
  switch (which) {
    case "largest":
      return pairs.slice(0, count);
    case "smallest":
      return pairs.slice(-count);
    case "magnitude":
      return pairs.toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, count);
    case "both-ends":
      if (pairs.length <= count) return [...pairs];
      return [...pairs.slice(0, Math.ceil(count / 2)), ...pairs.slice(-Math.floor(count / 2))];
  }
}

async function finish(
  space: KrylovSpace,
  { eigenvectors }: Solve,
  pairs: readonly RitzPair[],
  converged: boolean,
): Promise<HessianResult> {
  const vectors = [];
  if (eigenvectors) for (const { vector } of pairs) vectors.push(await space.vector(vector));
  return {
    eigenvalues: pairs.map((pair) => pair.value),
    residuals: pairs.map((pair) => pair.residual),
    iterations: space.products,
    converged,
    eigenvectors: vectors,
  };
}

/** q ← Aq/‖Aq‖: to the eigenvalue of the largest magnitude, qᵀAq. */
export async function powerIteration(space: KrylovSpace, solve: Solve): Promise<HessianResult> {
  const { tolerance, maximumIterations, onIteration } = solve;
  await space.start(solve.initial);
  let given = solve.initial !== undefined;
  for (;;) {
    await space.step();
    // In the basis of q and what is new in Aq: Aq = (λ, the residual's norm).
    const [value = 0, residual = 0] = space.lastProduct;
    onIteration?.({ iteration: space.products, eigenvalues: [value], residuals: [residual] });
    // A start in the null space says nothing of the rest.
    if (given && value === 0 && residual === 0 && space.products < maximumIterations) {
      given = false;
      await space.start();
      continue;
    }
    const converged = residual <= tolerance * Math.abs(value);
    if (converged || space.products >= maximumIterations)
      return {
        eigenvalues: [value],
        residuals: [residual],
        iterations: space.products,
        converged,
        eigenvectors: solve.eigenvectors ? [await space.vector([1])] : [],
      };
    using next = await space.vector([value, residual]);
    await space.start(next);
  }
}
