import * as z from "zod";
import { CriticalSharpnessError, expected } from "../errors.js";
import { directionSchema, gradientSchema } from "../models/index.js";
import { type OptionsOf, readOptions } from "../options/index.js";
import type { LossAt } from "../search/index.js";
import { lossPrecision, openLine } from "../sharpness/index.js";
import type { ComputeDtype } from "../torch/index.js";
import { type CurvatureOptions, CurvatureProduct, curvatureOptions } from "./product.js";

const { preconditioner: _, seed: __, ...matrixOptions } = curvatureOptions;

const directionalShape = {
  /** Δ: the line is θ − η·Δ. */
  direction: directionSchema,
  /** s = ∇L·Δ of the batch, or its gradient. Without either it is computed. */
  slope: z.number().optional(),
  gradient: gradientSchema.optional(),
  /**
   * `hvp`: one exact Hessian-vector product. `central-difference`: forward passes alone, for models whose second derivative
   * is not to be had. Default: `hvp`, with bfloat16 compute `central-difference`.
   */
  method: z.enum(["hvp", "central-difference"]).optional(),
  /** ηc of the line, where known: the anharmonicity is made of it, and it bounds the steps of the differences. */
  criticalLearningRate: z.number().gt(0).optional(),
};

const directionalSchema = z.strictObject({ ...matrixOptions, ...directionalShape });

export interface DirectionalOptions
  extends Omit<CurvatureOptions, "preconditioner" | "seed">,
    OptionsOf<typeof directionalShape> {}

export interface DirectionalResult {
  /** λdir = ΔᵀHΔ/(∇L·Δ); negative where the loss bends down along a descending Δ, or up along an ascending one. */
  directionalSharpness: number;
  /** ΔᵀHΔ */
  curvature: number;
  /** ∇L·Δ */
  slope: number;
  /** How far the curvature may be off, roughly: 0 for the exact product. */
  curvatureError: number;
  /** λc/λdir, 1 on a quadratic; undefined without ηc. */
  anharmonicity: number | undefined;
  method: "hvp" | "central-difference";
  /** Forward passes of the differences. */
  forwardPasses: number;
}

/**
 * Where differences begin: at the step after which the tangent has fallen by a tenth of the loss, or at ηc if that comes
 * first. Losses that are rounded to bfloat16 differ enough only after ten times that.
 *
 * @param fall the step after which the tangent has fallen by all of the loss
 */
function largestStep(dtype: ComputeDtype, fall: number, critical = Infinity): number {
  return Math.min(dtype === "bfloat16" ? fall : fall / 10, critical);
}

/**
 * Directional sharpness λdir = ΔᵀHΔ/(∇L·Δ): the curvature along an update direction, as the step sees it. On a quadratic
 * it is the critical sharpness λc = 2/ηc (Kalra et al. 2026).
 *
 * @throws CriticalSharpnessError `ERR_NON_FINITE_CURVATURE`, `ERR_NON_FINITE_SLOPE`, `ERR_NON_FINITE_LOSS`,
 *   `ERR_WEIGHTS_CHANGED`, `ERR_GRADIENT_BATCH`, `ERR_GRADIENT_VERSION`.
 * @throws AbortError; TypeError, RangeError naming the option; RangeError for `hvp` with bfloat16 compute.
 */
export async function directionalSharpness(options: DirectionalOptions): Promise<DirectionalResult> {
  const given = readOptions(directionalSchema, options);
  const { model, batch, direction, operator, microBatch, signal, criticalLearningRate: critical } = given;
  const method = given.method ?? (model.dtype === "bfloat16" ? "central-difference" : "hvp");
  const known = { slope: given.slope, gradient: given.gradient, subject: "the direction" };
  const line = await openLine(model, batch, direction, known, { microBatch, signal });
  let { slope, baseLoss } = line.start;
  let found = { curvature: 0, error: 0, forwardPasses: 0 };
  if (method === "hvp") {
    using product = await CurvatureProduct.open(given, { keep: false });
    found.curvature = await product.along(direction);
    slope ??= product.slope;
  } else {
    if (operator !== "hessian")
      throw expected('"hessian" with the method "central-difference"', "options.operator", operator, "range");
    if (slope === undefined) {
      const { gradient, loss } = await model.gradient(batch, { microBatch, signal });
      using vector = gradient;
      slope = await vector.dot(direction);
      baseLoss = loss;
    }
    baseLoss ??= await line.lossAt(0);
    const start = largestStep(model.dtype, Math.abs((baseLoss || 1) / (slope || 1)), critical);
    found = await secondDifference(line.lossAt, baseLoss, start, lossPrecision[model.dtype]);
  }
  if (!Number.isFinite(slope) || slope === 0)
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_SLOPE",
      `Expected a finite number other than zero for the slope ∇L·Δ but received ${slope}`,
    );
  const directional = found.curvature / slope;
  return {
    directionalSharpness: directional,
    curvature: found.curvature,
    slope,
    curvatureError: found.error,
    anharmonicity: critical === undefined ? undefined : 2 / critical / directional,
    method,
    forwardPasses: found.forwardPasses,
  };
}

export interface SecondDifference {
  /** d²L/dη² at η = 0: ΔᵀHΔ. */
  curvature: number;
  /** How far it may be off: what the extrapolations disagree by, or what rounding can do. */
  error: number;
  forwardPasses: number;
}

/** Steps that are tried at most, each half the one before. */
const levels = 12;

/**
 * The second derivative of a line's loss at 0 from forward passes alone: central differences at ever smaller steps,
 * extrapolated to zero (Ridders 1982), until rounding outweighs what a smaller step gains. Two steps in a row must agree:
 * far from 0, where the line is no polynomial yet, extrapolations agree by chance.
 *
 * @param start the largest step
 * @param precision relative rounding error of a loss
 */
export async function secondDifference(
  lossAt: LossAt,
  base: number,
  start: number,
  precision: number,
): Promise<SecondDifference> {
  let best = { curvature: Number.NaN, error: Infinity };
  let before = best;
  let previous: number[] = [];
  let forwardPasses = 0;
  for (let level = 0; level < levels; level++) {
    const h = start / 2 ** level;
    const noise = (4 * precision * Math.abs(base)) / h ** 2;
    const row = [((await lossAt(h)) - 2 * base + (await lossAt(-h))) / h ** 2];
    forwardPasses += 2;
    let found = { curvature: row[0] as number, error: Infinity };
    for (const [k, coarse] of previous.entries()) {
      const fine = row[k] as number;
      // The error of column k falls as h^(2k + 2).
      const better = fine + (fine - coarse) / (4 ** (k + 1) - 1);
      row.push(better);
      const error = Math.max(Math.abs(better - fine), Math.abs(better - coarse), noise);
      if (error <= found.error) found = { curvature: better, error };
    }
    const error = Math.max(found.error, Math.abs(found.curvature - before.curvature));
    if (error <= best.error) best = { curvature: found.curvature, error };
    if (noise > best.error / 2) break;
    before = found;
    previous = row.every(Number.isFinite) ? row : [];
  }
  if (!Number.isFinite(best.curvature))
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_LOSS",
      `Expected finite losses along the direction within ±${start} but received others`,
    );
  return { ...best, forwardPasses };
}

const weightsShape = {
  /** What `hessianEigenvalues` found, with its eigenvectors. */
  eigen: z
    .object({ eigenvalues: z.array(z.number()), eigenvectors: z.array(directionSchema).min(1) })
    .refine(
      ({ eigenvalues, eigenvectors }) => eigenvalues.length === eigenvectors.length,
      "a result of hessianEigenvalues with eigenvectors: true",
    ),
  /** ∇L of the same batch. */
  gradient: gradientSchema,
  /** The preconditioner that the eigenvalues were computed with. */
  preconditioner: directionSchema.optional(),
};

const weightsSchema = z.strictObject(weightsShape);

export type EigenvectorWeightsOptions = OptionsOf<typeof weightsShape>;

export interface EigenvectorWeights {
  /** cᵢ²/‖g̃‖²: the share of the gradient that lies along each eigenvector. All that there are add up to 1. */
  weights: number[];
  /** Σcᵢ²λᵢ/‖g̃‖² over these eigenvectors: their part of the directional sharpness of Δ = P⁻¹∇L. */
  directionalSharpness: number;
  /** 1 − Σ weights: the share that lies along none of them. */
  remainder: number;
}

/**
 * How the gradient is spread over the Hessian's eigenvectors: cᵢ = g̃·uᵢ with g̃ = P^(−½)∇L, the weights by which the
 * directional sharpness of Δ = P⁻¹∇L is the mean of the eigenvalues, λdir = Σcᵢ²λᵢ/Σcᵢ² (Kalra et al. 2026, Results 2.1
 * and 2.2).
 *
 * @throws TypeError, RangeError naming the option; CriticalSharpnessError `ERR_NON_FINITE_SLOPE` for a gradient that is
 *   zero or not finite.
 */
export async function eigenvectorWeights(options: EigenvectorWeightsOptions): Promise<EigenvectorWeights> {
  const { eigen, gradient: given, preconditioner } = readOptions(weightsSchema, options);
  const { eigenvalues, eigenvectors } = eigen;
  const gradient = "gradient" in given ? given.gradient : given;
  using scaling = await preconditioner?.inverseSquareRoot();
  using scaled = await scaling?.multiply(gradient);
  const g = scaled ?? gradient;
  const square = await g.dot(g);
  if (!(square > 0 && Number.isFinite(square)))
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_SLOPE",
      `Expected finite numbers, not all zero, for the gradient but received some with ‖g‖² = ${square}`,
    );
  const weights = [];
  for (const u of eigenvectors) weights.push((await g.dot(u)) ** 2 / square);
  return {
    weights,
    directionalSharpness: weights.reduce((sum, w, i) => sum + w * (eigenvalues[i] as number), 0),
    remainder: 1 - weights.reduce((a, b) => a + b, 0),
  };
}
