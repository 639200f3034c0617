import * as z from "zod";
import type { Direction, ParameterSet } from "../models/index.js";
import { flags, fraction } from "../options/index.js";
import type { SignalOptions } from "../torch/index.js";
import type { OptimizerOptions } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { OptimizerRule } from "./rule.js";

const usualBetas: readonly [number, number] = [0.9, 0.999];
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
  static readonly rule = {
    type: "adamw" as const,
    options: {
      betas: z
        .tuple([fraction, fraction])
        .default([...usualBetas])
        .describe("β₁, β₂ of the moving averages.")
        .register(flags, { flag: "--betas <b1,b2>" }),
      epsilon: z
        .number()
        .min(0)
        .default(usualEpsilon)
        .describe("ε of AdamW.")
        .register(flags, { flag: "--epsilon <x>" }),
    },
    weightDecay: 0.01,
    metric: "diagonal" as const,
    hasMemory: () => true,
    stabilityGain: ({ betas: [beta1] = usualBetas }: Partial<AdamWOptions>) => ({
      value: (1 + beta1) / (1 - beta1),
      formula: "(1+β₁)/(1−β₁)",
    }),
    describe: ({ betas: [beta1, beta2] = usualBetas, epsilon = usualEpsilon }, number) => [
      "AdamW",
      `β = (${beta1}, ${beta2})`,
      `ε = ${number(epsilon)}`,
    ],
    torch: {
      settings: ["betas", "eps"],
      roles: { exp_avg: "exp_avg", exp_avg_sq: "exp_avg_sq" },
      options(settings) {
        // RAdam has the same moments, and all of PyTorch's Adam's settings but this one.
        if (settings.has("decoupled_weight_decay") && !settings.has("amsgrad")) settings.refuse("RAdam");
        // Of DeepSpeed's and Apex' fused Adam.
        if (settings.has("bias_correction") && !settings.flag("bias_correction"))
          settings.refuse("Adam without bias correction");
        settings.without("amsgrad", "maximize");
        // Adam of PyTorch adds its decay to the gradient, unless it says otherwise.
        if (settings.has("decoupled_weight_decay") && !settings.flag("decoupled_weight_decay"))
          settings.without("weight_decay");
        return { betas: settings.numbers("betas", 2), epsilon: settings.number("eps") };
      },
    },
    native: ({ betas: [beta1, beta2], epsilon }: { betas: [number, number]; epsilon: number }) => ({
      rules: [{ name: "adamw", options: { beta1, beta2, epsilon } }],
    }),
  } satisfies OptimizerRule<Partial<AdamWOptions>>;

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: AdamWOptions) {
    super(model, options, AdamW.rule);
  }

  override async preconditioner(options: SignalOptions = {}): Promise<Direction> {
    return (await super.preconditioner(options)) as Direction;
  }

  override threshold(learningRate: number = this.learningRate): number {
    return super.threshold(learningRate) as number;
  }
}
