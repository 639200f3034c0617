import type { Model } from "../models/index.js";
import type { SearchResult } from "../search/index.js";

/** Relative rounding error of a loss, whose terms are many and are added up in float64. */
export const lossPrecision = { float64: 1e-15, float32: 3e-8, bfloat16: 5e-4 } as const;

/** Weights that are wider than bfloat16 arithmetic are rounded anew at every η, which moves losses several times as far. */
const roundedWeights = 6;

/** What was found along a model's line. */
export interface MeasuredSharpness extends SearchResult {
  /**
   * How far the rounding of losses may move ηc, relative to ηc and roughly: 2·u·|L(θ)|/(s·ηc), where u is a loss's relative
   * rounding error (3e-8 in float32; in bfloat16 5e-4, or 3e-3 with wider weights, which are rounded anew at every η) and s·ηc
   * the scale of the losses' differences; on a quadratic they rise with slope s at ηc. Above the tolerance, the differences are
   * not above the noise, and ηc is known no better than this. Null without a crossing or a slope.
   */
  readonly noise: number | null;
}

/** A search's result with its noise. */
export function withNoise(
  result: SearchResult,
  { dtype, parameterDtype }: Pick<Model, "dtype" | "parameterDtype">,
): MeasuredSharpness {
  const { status, slope, baseLoss, criticalLearningRate } = result;
  const known = status === "converged" && slope !== null && slope > 0 && baseLoss !== null;
  const anew = dtype === "bfloat16" && parameterDtype !== "bfloat16" ? roundedWeights : 1;
  const rounding = 2 * lossPrecision[dtype] * anew * Math.abs(baseLoss ?? 0);
  return { ...result, noise: known ? rounding / (slope * criticalLearningRate) : null };
}
