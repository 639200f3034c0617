import { checkChoice, checkOptions } from "../checks.js";
import type { Model } from "../models/index.js";
import {
  AdamW,
  type AdamWOptions,
  type Optimizer,
  type OptimizerRule,
  Sgd,
  type SgdOptions,
} from "../optimizers/index.js";

/**
 * An optimizer by its name and options. Where no step is taken, the learning rate counts only as what those of the
 * groups are relative to; its default is 1.
 */
export type OptimizerChoice =
  | ({ type: "adamw" } & Partial<AdamWOptions>)
  | ({ type: "sgd" } & Partial<SgdOptions>);

type Kind = OptimizerChoice["type"];
const classes = { adamw: AdamW, sgd: Sgd };
const kinds = Object.keys(classes) as Kind[];

/** @throws TypeError, RangeError naming the option. */
export function makeOptimizer(model: Model, choice: OptimizerChoice): Optimizer {
  const { type, ...options } = checkOptions(choice, "options.optimizer");
  const Chosen = classes[checkChoice<Kind>(type, "options.optimizer.type", kinds)];
  return new Chosen(model, { learningRate: 1, ...options });
}

/** What a chosen optimizer says by its options alone. */
export function ruleOf({ type }: { type: unknown }): OptimizerRule<object> {
  return classes[checkChoice<Kind>(type, "options.optimizer.type", kinds)].rule;
}

/** Gradients that an optimizer's state usually needs before its Δ is as in training. */
export const usualAccumulation = (choice: { type: unknown }): number =>
  ruleOf(choice).hasMemory(choice) ? 20 : 1;
