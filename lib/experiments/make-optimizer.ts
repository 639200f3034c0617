import { checkChoice, checkOptions } from "../checks.js";
import type { Model } from "../models/index.js";
import { AdamW, type AdamWOptions, type Optimizer, Sgd, type SgdOptions } from "../optimizers/index.js";

/**
 * An optimizer by its name and options. Where no step is taken, the learning rate counts only as what those of the
 * groups are relative to; its default is 1.
 */
export type OptimizerChoice =
  | ({ type: "adamw" } & Partial<AdamWOptions>)
  | ({ type: "sgd" } & Partial<SgdOptions>);

/** @throws TypeError, RangeError naming the option. */
export function makeOptimizer(model: Model, choice: OptimizerChoice): Optimizer {
  const { type, ...options } = checkOptions(choice, "options.optimizer");
  const given = { learningRate: 1, ...options };
  return checkChoice(type, "options.optimizer.type", ["adamw", "sgd"]) === "adamw"
    ? new AdamW(model, given)
    : new Sgd(model, given);
}
