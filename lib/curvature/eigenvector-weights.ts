import { CriticalSharpnessError, expected } from "../errors.js";
import { checkDirection, type Direction, type Gradient } from "../models/index.js";

import { checkNames } from "../options/index.js";

import type { HessianResult } from "./hessian.js";

export interface EigenvectorWeightsOptions {
  /** What `hessianEigenvalues` found, with its eigenvectors. */
  eigen: Pick<HessianResult, "eigenvalues" | "eigenvectors">;
  /** ∇L of the same batch. */
  gradient: Gradient | Direction;
  /** The preconditioner that the eigenvalues were computed with. */
  preconditioner?: Direction;
}

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
  const given = checkNames(options, "options", ["eigen", "gradient", "preconditioner"]);
  const { eigenvalues, eigenvectors } = checkEigen(given.eigen);
  const raw = given.gradient as Gradient | Direction;
  const gradient = checkDirection(
    typeof raw === "object" && raw !== null && "gradient" in raw ? raw.gradient : raw,
    "options.gradient",
  );
  using scaling = await (given.preconditioner === undefined
    ? undefined
    : checkDirection(given.preconditioner, "options.preconditioner").inverseSquareRoot());
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

function checkEigen(value: unknown): EigenvectorWeightsOptions["eigen"] {
  const eigen = value as Partial<HessianResult> | null | undefined;
  const { eigenvalues, eigenvectors } = eigen ?? {};
  const fits =
    Array.isArray(eigenvalues) &&
    Array.isArray(eigenvectors) &&
    eigenvectors.length > 0 &&
    eigenvalues.length === eigenvectors.length;
  if (!fits) throw expected("a result of hessianEigenvalues with eigenvectors: true", "options.eigen", value);
  return {
    eigenvalues,
    eigenvectors: eigenvectors.map((u, i) => checkDirection(u, `options.eigen.eigenvectors[${i}]`)),
  };
}
