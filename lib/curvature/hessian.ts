import * as z from "zod";
import { expected } from "../errors.js";
import { Direction, directionSchema } from "../models/index.js";
import { callback, count, flags, type OptionsOf, readOptions } from "../options/index.js";
import { finiteOrNull } from "../statistics.js";
import { KrylovSpace, lanczos, powerIteration } from "./lanczos.js";
import { type CheckedCurvature, type CurvatureOptions, curvatureOptions } from "./product.js";

const hessianShape = {
  /** How many eigenvalues (with `both-ends`: at each end). Default 1. */
  count: count
    .default(1)
    .describe("How many eigenvalues; with both-ends at each end.")
    .register(flags, { flag: "--count <k>" }),
  /**
   * Which eigenvalues: the largest, the smallest (most negative), the largest in magnitude, or `count` at each end. Default
   * `largest`; with the power method `magnitude`.
   */
  which: z
    .enum(["largest", "smallest", "magnitude", "both-ends"])
    .optional()
    .describe("Which eigenvalues. Default: the largest; by the power method those of largest magnitude.")
    .register(flags, { flag: "--which <ends>" }),
  /** Default `lanczos`. The power method finds one eigenvalue, in more products but in two vectors of memory. */
  method: z
    .enum(["lanczos", "power"])
    .default("lanczos")
    .describe("How to find them.")
    .register(flags, { flag: "--method <name>" }),
  /**
   * Converged when every residual ‖Au − λu‖ ≤ tolerance·‖A‖, with the largest |eigenvalue| seen for ‖A‖: eigenvalues near zero
   * are found as well as large ones. The error of λ is at most its residual, near others' ends about its square over the
   * distance to them. Default 1e-3.
   */
  tolerance: z
    .number()
    .gt(0)
    .lt(1)
    .default(1e-3)
    .describe("‖Hu − λu‖ ≤ tolerance·‖H‖.")
    .register(flags, { flag: "--tolerance <x>" }),
  /** Most products with the curvature. Default: 10 an eigenvalue, at least 100 (Lanczos), 1000 (power). */
  maximumIterations: count
    .optional()
    .describe(
      "Most Hessian-vector products. Default: 10 an eigenvalue, at least 100; 1000 by the power method.",
    )
    .register(flags, { flag: "--maximum-iterations <n>" }),
  /**
   * Most vectors that Lanczos keeps, each as large as the weights; restarts keep it within. With fewer it takes up to twice
   * the products where eigenvalues are close together. Default: as many as hold 2²⁴ numbers together, at least
   * 2·count + 2 (`both-ends`: 4·count + 2), at most 18 more than that.
   */
  basisSize: count.optional(),
  /** Where to start: eigenvectors of a measurement before. With a preconditioner in its coordinates, as they are returned. */
  initial: z
    .union([directionSchema, z.array(directionSchema).min(1).readonly()], "a Direction or an array of them")
    .optional(),
  /** Return the eigenvectors as well. Dispose of them. Default false. */
  eigenvectors: z.boolean().default(false),
  /** Called after each product. */
  onIteration: callback<(progress: HessianProgress) => void>().optional(),
};

export const hessianSchema = z.strictObject({ ...curvatureOptions, ...hessianShape });

export interface HessianOptions extends CurvatureOptions, OptionsOf<typeof hessianShape> {}
export type Ends = NonNullable<HessianOptions["which"]>;

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
  const { count, method, tolerance, eigenvectors, onIteration, ...curvature } = readOptions(
    hessianSchema,
    options,
  );
  const isPower = method === "power";
  const dimension = curvature.model.trainableCount;
  const which = curvature.which ?? (isPower ? "magnitude" : "largest");
  if (isPower && which !== "magnitude")
    throw expected('"magnitude" with the power method', "options.which", which, "range");
  const isBoth = which === "both-ends";
  const most = isPower ? 1 : isBoth ? Math.max(1, Math.floor(dimension / 2)) : dimension;
  if (count > most) throw expected(`an integer ≥ 1 and ≤ ${most}`, "options.count", count, "range");
  const wanted = isBoth ? 2 * count : count;
  const basisSize = curvature.basisSize ?? defaultBasisSize(wanted, dimension);
  if (basisSize < wanted + 2)
    throw expected(`an integer ≥ ${wanted + 2}`, "options.basisSize", basisSize, "range");
  const maximumIterations = curvature.maximumIterations ?? (isPower ? 1000 : Math.max(100, 10 * wanted));
  const { initial, owned } = await startOf(curvature.initial);
  try {
    const limits = { tolerance, maximumIterations, basisSize };
    const solve: Solve = { curvature, count, which, ...limits, initial, eigenvectors, onIteration };
    using space = await KrylovSpace.open(curvature);
    return await (isPower ? powerIteration(space, solve) : lanczos(space, solve));
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
async function startOf(
  given: HessianOptions["initial"],
): Promise<{ initial: Direction | undefined; owned: boolean }> {
  if (given === undefined || "dot" in given) return { initial: given, owned: false };
  return { initial: await Direction.combine(given, Array(given.length).fill(1)), owned: true };
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
