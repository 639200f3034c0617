import * as z from "zod";
import { expected } from "../errors.js";
import type { ParameterSet } from "../models/index.js";
import { flags, fraction } from "../options/index.js";
import type { OptimizerOptions } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { OptimizerRule } from "./rule.js";

export interface SgdOptions extends OptimizerOptions {
  /** μ. Default 0. */
  momentum?: number;
  /** Nesterov's form, g + μ·b; needs a momentum. Default false. */
  nesterov?: boolean;
}

/**
 * Stochastic gradient descent: b ← μb + g, Δ = b (Nesterov: g + μb) + γθ. The preconditioner is 1, in a group with a learning
 * rate of its own η over that.
 *
 * Decay is decoupled from the momentum (Loshchilov & Hutter 2019, SGDW), so that Δ can be had with and without it; with
 * μ = 0 or γ = 0 this is PyTorch's SGD.
 */
export class Sgd extends Optimizer {
  static readonly rule = {
    type: "sgd" as const,
    options: {
      momentum: fraction
        .default(0)
        .describe("μ of the momentum.")
        .register(flags, { flag: "--momentum <x>" }),
      nesterov: z.boolean().default(false).describe("Nesterov's form of momentum."),
    },
    weightDecay: 0,
    metric: "identity" as const,
    hasMemory: ({ momentum = 0 }) => momentum > 0,
    stabilityGain: ({ momentum = 0, nesterov = false }: Partial<SgdOptions>) => {
      if (momentum === 0) return { value: 1, formula: "" };
      if (!nesterov) return { value: 1 + momentum, formula: "(1+μ)" };
      return { value: (1 + momentum) / (1 + 2 * momentum), formula: "(1+μ)/(1+2μ)" };
    },
    describe: ({ momentum = 0, nesterov = false }) => [
      "SGD",
      ...(momentum > 0 ? [`momentum ${momentum}`] : []),
      ...(nesterov ? ["Nesterov"] : []),
    ],
    torch: {
      settings: ["momentum", "dampening", "nesterov"],
      roles: { momentum: "momentum_buffer" },
      options(settings) {
        settings.without("dampening", "maximize");
        const momentum = settings.number("momentum");
        // PyTorch's decay goes into the momentum, the one here does not.
        if (momentum > 0) settings.without("weight_decay");
        return { momentum, nesterov: settings.flag("nesterov") };
      },
    },
    native: (options: { momentum: number; nesterov: boolean }) => {
      if (options.nesterov && options.momentum === 0)
        throw expected("a momentum > 0 with nesterov", "options.momentum", options.momentum, "range");
      return { rules: [{ name: "sgd", options }] };
    },
  } satisfies OptimizerRule<Partial<SgdOptions>>;

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: SgdOptions) {
    super(model, options, Sgd.rule);
  }

  override threshold(learningRate: number = this.learningRate): number {
    return super.threshold(learningRate) as number;
  }
}
