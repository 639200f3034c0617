import { checkBoolean, checkInstance, checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import { ParameterSet } from "../models/parameters.js";
import { native } from "../native/load.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./groups.js";
import { Optimizer } from "./optimizer.js";

export interface SgdOptions extends OptimizerOptions {
  /** μ. Default 0. */
  momentum?: number;
  /** Nesterov's form, g + μ·b; needs a momentum. Default false. */
  nesterov?: boolean;
}

/**
 * Stochastic gradient descent: b ← μb + g, Δ = b (Nesterov: g + μb) + γθ. The preconditioner is 1.
 *
 * Decay is decoupled from the momentum (Loshchilov & Hutter 2019, SGDW), so that Δ can be had with and without it; with
 * μ = 0 or γ = 0 this is PyTorch's SGD.
 */
export class Sgd extends Optimizer {
  readonly kind = "sgd";

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: SgdOptions) {
    checkInstance(model, "model", ParameterSet, "a Model");
    const { momentum = 0, nesterov = false, ...rest } = checkOptions(options, "options");
    const { learningRate, groups } = checkOptimizerOptions(model, rest, 0);
    const checked = {
      momentum: checkNumber(momentum, "options.momentum", { minimum: 0, below: 1 }),
      nesterov: checkBoolean(nesterov, "options.nesterov"),
    };
    if (checked.nesterov && checked.momentum === 0)
      throw expected("a momentum > 0 with nesterov", "options.momentum", checked.momentum, "range");
    super(native().createSgd(model.handle, groups, checked), model, learningRate);
  }
}
