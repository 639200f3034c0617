import { expected } from "../errors.js";
import { checkBoolean, checkChoice, checkNames, checkNumber } from "../options/index.js";
import { AdamW } from "./adamw.js";
import { Sgd } from "./sgd.js";

export interface ThresholdOptions {
  optimizer: "gd" | "adamw";
  /** η, > 0 */
  learningRate: number;
  /** Decoupled decay γ, ≥ 0. Default 0. */
  weightDecay?: number;
  /** AdamW's β₁ in [0, 1). Default 0.9. */
  beta1?: number;
  /** Gradient descent's μ in [0, 1), of b ← μb + g. Default 0. */
  momentum?: number;
  /** Whether Δ is g + μb (Nesterov) rather than b. Default false. */
  nesterov?: boolean;
}

const names = ["optimizer", "learningRate", "weightDecay", "beta1", "momentum", "nesterov"];

/**
 * The sharpness at which training on a quadratic becomes unstable: for gradient descent the largest λ(H) is 2/η − γ, for
 * AdamW the largest λ(P⁻¹H) is (1+β₁)/(1−β₁)·(2/η − γ) (Cohen et al. 2022, with decay). Momentum μ raises gradient descent's
 * to (1+μ)·(2/η − γ), with Nesterov's form (1+μ)/(1+2μ)·(2/η − γ): where the linear recursion has the eigenvalue −1.
 * An optimizer with its own settings and groups is asked itself: `optimizer.threshold(learningRate)`.
 * Critical sharpness λc is compared with 2/η instead, whatever β₁, μ and γ are.
 */
export function stabilityThreshold(options: ThresholdOptions): number {
  const given = checkNames(options, "options", names);
  const optimizer = checkChoice(given.optimizer, "options.optimizer", ["gd", "adamw"]);
  const eta = checkNumber(given.learningRate, "options.learningRate", { above: 0 });
  const decay = checkNumber(given.weightDecay ?? 0, "options.weightDecay", { minimum: 0 });
  const others = optimizer === "gd" ? ["beta1"] : ["momentum", "nesterov"];
  for (const name of others)
    if (given[name] !== undefined)
      throw expected(`no value with optimizer "${optimizer}"`, `options.${name}`, given[name], "range");
  if (optimizer === "gd") {
    const mu = checkNumber(given.momentum ?? 0, "options.momentum", { minimum: 0, below: 1 });
    const nesterov = checkBoolean(given.nesterov ?? false, "options.nesterov");
    return Sgd.rule.stabilityGain({ momentum: mu, nesterov }).value * (2 / eta - decay);
  }
  const beta1 = checkNumber(given.beta1 ?? 0.9, "options.beta1", { minimum: 0, below: 1 });
  return AdamW.rule.stabilityGain({ betas: [beta1, 0] }).value * (2 / eta - decay);
}
