import { checkInstance, checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import { ParameterSet } from "../models/parameters.js";
import { native } from "../native/load.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./groups.js";
import { Optimizer } from "./optimizer.js";

export interface AdamWOptions extends OptimizerOptions {
  /** β₁, β₂. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** ε. Default 1e-8. */
  epsilon?: number;
}

/**
 * AdamW (Loshchilov & Hutter 2019): m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², Δ = P⁻¹m + γθ with the preconditioner
 * P = (1−β₁ᵗ)(√(v/(1−β₂ᵗ)) + ε) of Cohen et al. 2022. The default decay is 0.01.
 */
export class AdamW extends Optimizer {
  readonly kind = "adamw";

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: AdamWOptions) {
    checkInstance(model, "model", ParameterSet, "a Model");
    const { betas = [0.9, 0.999], epsilon = 1e-8, ...rest } = checkOptions(options, "options");
    const { learningRate, groups } = checkOptimizerOptions(model, rest, 0.01);
    if (!Array.isArray(betas) || betas.length !== 2) throw expected("two numbers", "options.betas", betas);
    const [beta1, beta2] = betas.map((beta, i) =>
      checkNumber(beta, `options.betas[${i}]`, { minimum: 0, below: 1 }),
    );
    const constants = {
      beta1: beta1 as number,
      beta2: beta2 as number,
      epsilon: checkNumber(epsilon, "options.epsilon", { minimum: 0 }),
    };
    super(native().createAdamW(model.handle, groups, constants), model, learningRate);
  }
}
