import { checkChoice, checkNumber } from "../checks.js";
import { expected } from "../errors.js";
import { checkNames } from "./options.js";

export interface ThresholdOptions {
  optimizer: "gd" | "adamw";
  /** η, > 0 */
  learningRate: number;
  /** Decoupled decay γ, ≥ 0. Default 0. */
  weightDecay?: number;
  /** AdamW's β₁ in [0, 1). Default 0.9. */
  beta1?: number;
}

/**
 * The sharpness at which training on a quadratic becomes unstable: for gradient descent the largest λ(H) is 2/η − γ, for
 * AdamW the largest λ(P⁻¹H) is (1+β₁)/(1−β₁)·(2/η − γ) (Cohen et al. 2022, with decay). Critical sharpness λc is compared
 * with 2/η instead, whatever β₁ and γ are.
 */
export function stabilityThreshold(options: ThresholdOptions): number {
  const given = checkNames(options, "options", ["optimizer", "learningRate", "weightDecay", "beta1"]);
  const optimizer = checkChoice(given.optimizer, "options.optimizer", ["gd", "adamw"]);
  const eta = checkNumber(given.learningRate, "options.learningRate", { above: 0 });
  const decay = checkNumber(given.weightDecay ?? 0, "options.weightDecay", { minimum: 0 });
  if (optimizer === "gd") {
    if (given.beta1 !== undefined)
      throw expected('no value with optimizer "gd"', "options.beta1", given.beta1, "range");
    return 2 / eta - decay;
  }
  const beta1 = checkNumber(given.beta1 ?? 0.9, "options.beta1", { minimum: 0, below: 1 });
  return ((1 + beta1) / (1 - beta1)) * (2 / eta - decay);
}
