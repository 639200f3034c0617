import { expected } from "../errors.js";
import { type Direction, ParameterSet } from "../models/index.js";

import { checkInstance, checkNumber, checkOptions } from "../options/index.js";
import { native, type SignalOptions } from "../torch/index.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./groups.js";
import { Optimizer, type OptimizerRule } from "./optimizer.js";

const usualBetas = [0.9, 0.999] as const;
const usualEpsilon = 1e-8;

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
  static readonly rule: OptimizerRule<Partial<AdamWOptions>> = {
    hasMemory: () => true,
    hasPreconditioner: () => true,
    stabilityGain: ({ betas: [beta1] = usualBetas }) => ({
      value: (1 + beta1) / (1 - beta1),
      formula: "(1+β₁)/(1−β₁)",
    }),
    describe: ({ betas: [beta1, beta2] = usualBetas, epsilon = usualEpsilon }, number) => [
      "AdamW",
      `β = (${beta1}, ${beta2})`,
      `ε = ${number(epsilon)}`,
    ],
  };

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: AdamWOptions) {
    checkInstance(model, "model", ParameterSet, "a Model");
    const { betas = usualBetas, epsilon = usualEpsilon, ...rest } = checkOptions(options, "options");
    const common = checkOptimizerOptions(model, rest, 0.01);
    if (!Array.isArray(betas) || betas.length !== 2) throw expected("two numbers", "options.betas", betas);
    const [beta1, beta2] = betas.map((beta, i) =>
      checkNumber(beta, `options.betas[${i}]`, { minimum: 0, below: 1 }),
    );
    const constants = {
      beta1: beta1 as number,
      beta2: beta2 as number,
      epsilon: checkNumber(epsilon, "options.epsilon", { minimum: 0 }),
    };
    const gain = AdamW.rule.stabilityGain({ betas: [constants.beta1, constants.beta2] });
    super(native().createAdamW(model.handle, common.groups, constants), model, common, gain.value);
  }

  override async preconditioner(options: SignalOptions = {}): Promise<Direction> {
    return (await super.preconditioner(options)) as Direction;
  }
}
