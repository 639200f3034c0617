import { checkChoice, checkNumber } from "../checks.js";
import { CriticalSharpnessError, expected } from "../errors.js";
import type { Direction, Gradient } from "../models/index.js";
import type { ComputeDtype } from "../native/surface.js";
import { type CurvatureOptions, checkCurvature, curvatureNames } from "./curvature-options.js";
import { CurvatureProduct } from "./curvature-product.js";
import { openLine } from "./line.js";
import { lossPrecision } from "./noise.js";
import { checkDirection, checkNames, or } from "./options.js";
import { secondDifference } from "./second-difference.js";

export interface DirectionalOptions
  extends Pick<CurvatureOptions, "model" | "batch" | "operator" | "microBatch" | "signal"> {
  /** Δ: the line is θ − η·Δ. */
  direction: Direction;
  /** s = ∇L·Δ of the batch, or its gradient. Without either it is computed. */
  slope?: number;
  gradient?: Gradient | Direction;
  /**
   * `hvp`: one exact Hessian-vector product. `central-difference`: forward passes alone, for models whose second derivative
   * is not to be had. Default: `hvp`, with bfloat16 compute `central-difference`.
   */
  method?: "hvp" | "central-difference";
  /** ηc of the line, where known: the anharmonicity is made of it, and it bounds the steps of the differences. */
  criticalLearningRate?: number;
}

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

const names = [
  ...curvatureNames.filter((name) => name !== "preconditioner" && name !== "seed"),
  "direction",
  "slope",
  "gradient",
  "method",
  "criticalLearningRate",
];

/**
 * Directional sharpness λdir = ΔᵀHΔ/(∇L·Δ): the curvature along an update direction, as the step sees it. On a quadratic
 * it is the critical sharpness λc = 2/ηc (Kalra et al. 2026).
 *
 * @throws CriticalSharpnessError `ERR_NON_FINITE_CURVATURE`, `ERR_NON_FINITE_SLOPE`, `ERR_NON_FINITE_LOSS`,
 *   `ERR_WEIGHTS_CHANGED`, `ERR_GRADIENT_BATCH`, `ERR_GRADIENT_VERSION`.
 * @throws AbortError; TypeError, RangeError naming the option; RangeError for `hvp` with bfloat16 compute.
 */
export async function directionalSharpness(options: DirectionalOptions): Promise<DirectionalResult> {
  const given = checkNames(options, "options", names);
  const curvature = checkCurvature(given);
  const { model, batch, operator, microBatch, signal } = curvature;
  const direction = checkDirection(given.direction, "direction");
  const usual = model.dtype === "bfloat16" ? "central-difference" : "hvp";
  const method = checkChoice(or(given.method, usual), "options.method", ["hvp", "central-difference"]);
  const critical =
    given.criticalLearningRate === undefined
      ? undefined
      : checkNumber(given.criticalLearningRate, "options.criticalLearningRate", { above: 0 });
  const known = { slope: given.slope, gradient: given.gradient, subject: "the direction" };
  const line = await openLine(model, batch, direction, known, { microBatch, signal });
  let { slope, baseLoss } = line.start;
  let found = { curvature: 0, error: 0, forwardPasses: 0 };
  if (method === "hvp") {
    using product = await CurvatureProduct.open(curvature, { keep: false });
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
