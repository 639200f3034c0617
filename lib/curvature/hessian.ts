import * as z from "zod";
import { expected } from "../errors.js";
import { checkDirection, Direction } from "../models/index.js";
import { checkBoolean, checkCallback, checkChoice, checkNames, checkNumber, or } from "../options/index.js";
import { finiteOrNull } from "../statistics.js";
import { KrylovSpace, lanczos, powerIteration } from "./lanczos.js";
import { type CheckedCurvature, type CurvatureOptions, checkCurvature, curvatureNames } from "./product.js";

/** Which eigenvalues: the largest, the smallest (most negative), the largest in magnitude, or `count` at each end. */
export type Ends = "largest" | "smallest" | "magnitude" | "both-ends";

export interface HessianOptions extends CurvatureOptions {
  /** How many eigenvalues (with `both-ends`: at each end). Default 1. */
  count?: number;
  /** Default `largest`; with the power method `magnitude`. */
  which?: Ends;
  /** Default `lanczos`. The power method finds one eigenvalue, in more products but in two vectors of memory. */
  method?: "lanczos" | "power";
  /**
   * Converged when every residual ‖Au − λu‖ ≤ tolerance·‖A‖, with the largest |eigenvalue| seen for ‖A‖: eigenvalues near zero
   * are found as well as large ones. The error of λ is at most its residual, near others' ends about its square over the
   * distance to them. Default 1e-3.
   */
  tolerance?: number;
  /** Most products with the curvature. Default 100 (Lanczos), 1000 (power). */
  maximumIterations?: number;
  /**
   * Most vectors that Lanczos keeps, each as large as the weights; restarts keep it within. With fewer it takes up to twice
   * the products where eigenvalues are close together. Default: as many as hold 2²⁴ numbers together, at least
   * 2·count + 2 (`both-ends`: 4·count + 2), at most 18 more than that.
   */
  basisSize?: number;
  /** Where to start: eigenvectors of a measurement before. With a preconditioner in its coordinates, as they are returned. */
  initial?: Direction | readonly Direction[];
  /** Return the eigenvectors as well. Dispose of them. Default false. */
  eigenvectors?: boolean;
  /** Called after each product. */
  onIteration?: (progress: HessianProgress) => void;
}

export interface HessianProgress {
  /** Products so far. */
  iteration: number;
  /** Today's approximations, as in the result. */
  eigenvalues: number[];
  residuals: number[];
}

export interface HessianResult {
  /** In descending order; `magnitude`: by magnitude; `both-ends`: the largest, then the smallest, still descending. */
  eigenvalues: number[];
  /** ‖Au − λu‖ of each, with A the matrix in question and u the unit eigenvector. */
  residuals: number[];
  /** Products with the curvature. */
  iterations: number;
  converged: boolean;
  /** Unit eigenvectors where asked for, else empty. With a preconditioner those of P^(−½)HP^(−½). */
  eigenvectors: Direction[];
}

/** The options of a solver, checked. */
export interface Solve {
  curvature: CheckedCurvature;
  count: number;
  which: Ends;
  tolerance: number;
  maximumIterations: number;
  basisSize: number;
  initial: Direction | undefined;
  eigenvectors: boolean;
  onIteration: ((progress: HessianProgress) => void) | undefined;
}

const names = [
  ...curvatureNames,
  "count",
  "which",
  "method",
  "tolerance",
  "maximumIterations",
  "basisSize",
  "initial",
  "eigenvectors",
  "onIteration",
];

/**
 * Eigenvalues of the Hessian of a batch's mean loss, or of P^(−½)HP^(−½), from exact Hessian-vector products: Hessian
 * sharpness λmax(H) and preconditioned sharpness λmax(P⁻¹H). Like every Lanczos method it may count an eigenvalue that is
 * there several times only once.
 *
 * @throws CriticalSharpnessError `ERR_WEIGHTS_CHANGED` if the weights change meanwhile; `ERR_NON_FINITE_CURVATURE`;
 *   `ERR_START_VECTOR`.
 * @throws AbortError; TypeError, RangeError naming the option; RangeError for a model that computes in bfloat16.
 */
export async function hessianEigenvalues(options: HessianOptions): Promise<HessianResult> {
  const given = checkNames(options, "options", names);
  const curvature = checkCurvature(given);
  const method = checkChoice(or(given.method, "lanczos"), "options.method", ["lanczos", "power"]);
  const power = method === "power";
  const ends = power
    ? (["magnitude"] as const)
    : (["largest", "smallest", "magnitude", "both-ends"] as const);
  const dimension = curvature.model.parameterCount;
  const which = checkChoice<Ends>(or(given.which, power ? "magnitude" : "largest"), "options.which", ends);
  const most = power ? 1 : which === "both-ends" ? Math.max(1, Math.floor(dimension / 2)) : dimension;
  const count = checkNumber(or(given.count, 1), "options.count", {
    minimum: 1,
    maximum: most,
    integer: true,
  });
  const wanted = which === "both-ends" ? 2 * count : count;
  const { initial, owned } = await checkInitial(given.initial);
  try {
    const solve: Solve = {
      curvature,
      count,
      which,
      tolerance: checkNumber(or(given.tolerance, 1e-3), "options.tolerance", { above: 0, below: 1 }),
      maximumIterations: checkNumber(
        or(given.maximumIterations, power ? 1000 : Math.max(100, 10 * wanted)),
        "options.maximumIterations",
        { minimum: 1, integer: true },
      ),
      basisSize: checkNumber(or(given.basisSize, defaultBasisSize(wanted, dimension)), "options.basisSize", {
        minimum: wanted + 2,
        integer: true,
      }),
      initial,
      eigenvectors: checkBoolean(or(given.eigenvectors, false), "options.eigenvectors"),
      onIteration: checkCallback(given.onIteration, "options.onIteration") as Solve["onIteration"],
    };
    using space = await KrylovSpace.open(curvature);
    return await (power ? powerIteration(space, solve) : lanczos(space, solve));
  } finally {
    if (owned) initial?.dispose();
  }
}

/** Small networks have room for more vectors than are needed, and every one saves products. */
function defaultBasisSize(wanted: number, dimension: number): number {
  const least = 2 * wanted + 2;
  return Math.min(least + 18, Math.max(least, Math.floor(2 ** 24 / dimension)));
}

/** Several eigenvectors start as their sum, which contains each. */
async function checkInitial(given: unknown): Promise<{ initial: Direction | undefined; owned: boolean }> {
  if (given === undefined) return { initial: undefined, owned: false };
  if (!Array.isArray(given)) return { initial: checkDirection(given, "options.initial"), owned: false };
  if (given.length === 0) throw expected("a Direction or an array of them", "options.initial", given);
  const vectors = given.map((vector, i) => checkDirection(vector, `options.initial[${i}]`));
  return { initial: await Direction.combine(vectors, Array(vectors.length).fill(1)), owned: true };
}

/** An eigenvalue as far as it was found. */
export const eigenvalueSchema = z.object({
  eigenvalue: z.number().nullable(),
  /** ‖Au − λu‖, which bounds its error. */
  residual: z.number().nullable(),
  /** Hessian-vector products. */
  iterations: z.number(),
  converged: z.boolean(),
});

export type EigenvalueRecord = z.output<typeof eigenvalueSchema>;

/** The first eigenvalue of a result. */
export function eigenvalueRecord(result: HessianResult): EigenvalueRecord {
  const { eigenvalues, residuals, iterations, converged } = result;
  return {
    eigenvalue: finiteOrNull(eigenvalues[0] ?? null),
    residual: finiteOrNull(residuals[0] ?? null),
    iterations,
    converged,
  };
}
