import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import { directionSchema, gradientSchema } from "../models/index.js";
import { readOptions } from "../options/index.js";

const weightsSchema = z.strictObject({
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
});

export type EigenvectorWeightsOptions = z.input<typeof weightsSchema>;

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
