import * as z from "zod";
import { fraction, readOptions } from "../options/index.js";
import { AdamW } from "./adamw.js";
import { Sgd } from "./sgd.js";

const common = {
  /** η, > 0 */
  learningRate: z.number().gt(0),
  /** Decoupled decay γ, ≥ 0. Default 0. */
  weightDecay: z.number().min(0).default(0),
};

const thresholdOptions = z.discriminatedUnion("optimizer", [
  z.strictObject({
    ...common,
    optimizer: z.literal("gd"),
    /** μ in [0, 1), of b ← μb + g. Default 0. */
    momentum: fraction.default(0),
    /** Whether Δ is g + μb (Nesterov) rather than b. Default false. */
    nesterov: z.boolean().default(false),
  }),
  z.strictObject({
    ...common,
    optimizer: z.literal("adamw"),
    /** β₁ in [0, 1). Default 0.9. */
    beta1: fraction.default(0.9),
  }),
]);

export type ThresholdOptions = z.input<typeof thresholdOptions>;

/**
 * The sharpness at which training on a quadratic becomes unstable: for gradient descent the largest λ(H) is 2/η − γ, for
 * AdamW the largest λ(P⁻¹H) is (1+β₁)/(1−β₁)·(2/η − γ) (Cohen et al. 2022, with decay). Momentum μ raises gradient descent's
 * to (1+μ)·(2/η − γ), with Nesterov's form (1+μ)/(1+2μ)·(2/η − γ): where the linear recursion has the eigenvalue −1.
 * An optimizer with its own settings and groups is asked itself: `optimizer.threshold(learningRate)`.
 * Critical sharpness λc is compared with 2/η instead, whatever β₁, μ and γ are.
 */
export function stabilityThreshold(options: ThresholdOptions): number {
  const given = readOptions(thresholdOptions, options);
  const { value } =
    given.optimizer === "gd"
      ? Sgd.rule.stabilityGain(given)
      : AdamW.rule.stabilityGain({ betas: [given.beta1, 0] });
  return value * (2 / given.learningRate - given.weightDecay);
}
