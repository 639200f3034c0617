import { expected } from "../errors.js";
import { type Direction, ParameterSet } from "../models/index.js";

import { checkBoolean, checkInstance, checkNumber, checkOptions } from "../options/index.js";
import { native, type SignalOptions } from "../torch/index.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./groups.js";
import { Optimizer, type OptimizerRule } from "./optimizer.js";

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
  readonly kind = "sgd";
  static readonly rule: OptimizerRule<Partial<SgdOptions>> = {
    hasMemory: ({ momentum = 0 }) => momentum > 0,
    hasPreconditioner: ({ learningRate: own, groups = [] }) =>
      groups.some(({ learningRate }) => learningRate !== undefined && learningRate !== own),
    stabilityGain: ({ momentum = 0, nesterov = false }) => {
      if (momentum === 0) return { value: 1, formula: "" };
      if (!nesterov) return { value: 1 + momentum, formula: "(1+μ)" };
      return { value: (1 + momentum) / (1 + 2 * momentum), formula: "(1+μ)/(1+2μ)" };
    },
    describe: ({ momentum = 0, nesterov = false }) => [
      "SGD",
      ...(momentum > 0 ? [`momentum ${momentum}`] : []),
      ...(nesterov ? ["Nesterov"] : []),
    ],
  };
  readonly #alike: boolean;

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: ParameterSet, options: SgdOptions) {
    checkInstance(model, "model", ParameterSet, "a Model");
    const { momentum = 0, nesterov = false, ...rest } = checkOptions(options, "options");
    const common = checkOptimizerOptions(model, rest, 0);
    const checked = {
      momentum: checkNumber(momentum, "options.momentum", { minimum: 0, below: 1 }),
      nesterov: checkBoolean(nesterov, "options.nesterov"),
    };
    if (checked.nesterov && checked.momentum === 0)
      throw expected("a momentum > 0 with nesterov", "options.momentum", checked.momentum, "range");
    const gain = Sgd.rule.stabilityGain(checked);
    super(native().createSgd(model.handle, common.groups, checked), model, common, gain.value);
    this.#alike = common.groups.learningRateRatio.every((ratio) => ratio === 1);
  }

  override async preconditioner(options: SignalOptions = {}): Promise<Direction | null> {
    return this.#alike && this.steps > 0 ? null : super.preconditioner(options);
  }
}
