import * as z from "zod";
import type { ParameterSet } from "../models/index.js";
import { flags, fraction } from "../options/index.js";
import type { OptimizerOptions } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { OptimizerRule } from "./rule.js";

const usualBetas: readonly [number, number] = [0.9, 0.99];

export interface LionOptions extends OptimizerOptions {
  /** β₁ of the sign's interpolation, β₂ of the momentum. Default [0.9, 0.99]. */
  betas?: readonly [number, number];
}

/**
 * Lion (Chen et al. 2023): c ← β₁m + (1−β₁)g, m ← β₂m + (1−β₂)g, Δ = sign(c) + γθ. The default decay is 0.
 *
 * No P has Δ = P⁻¹m, and no quadratic is unstable: a step is as long far from a minimum as near it. λc is compared with 2/η as
 * ever (docs/thresholds.md).
 */
export class Lion extends Optimizer {
  static readonly rule = {
    type: "lion" as const,
    options: {
      betas: z
        .tuple([fraction, fraction])
        .default([...usualBetas])
        .describe("β₁ of the sign's interpolation, β₂ of the momentum.")
        .register(flags, { flag: "--betas <b1,b2>" }),
    },
    weightDecay: 0,
    metric: null,
    hasMemory: () => true,
    stabilityGain: () => null,
    describe: ({ betas: [beta1, beta2] = usualBetas }) => ["Lion", `β = (${beta1}, ${beta2})`],
    torch: {
      settings: ["betas"],
      roles: { exp_avg: "exp_avg" },
      options: (settings) => ({ betas: settings.numbers("betas", 2) }),
    },
    native: ({ betas: [beta1, beta2] }: { betas: [number, number] }) => ({
      rules: [{ name: "lion", options: { beta1, beta2 } }],
    }),
  } satisfies OptimizerRule<Partial<LionOptions>>;

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: LionOptions) {
    super(model, options, Lion.rule);
  }
}
