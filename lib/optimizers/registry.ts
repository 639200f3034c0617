import * as z from "zod";
import type { Model } from "../models/index.js";
import { checkChoice, checkOptions, fraction, names, section } from "../options/index.js";
import { AdamW, type AdamWOptions } from "./adamw.js";
import type { Optimizer, OptimizerRule } from "./optimizer.js";
import { Sgd, type SgdOptions } from "./sgd.js";

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

const optimizerCommon = {
  groups: z
    .array(
      section({
        parameters: names,
        learningRate: z.number().gt(0).optional(),
        weightDecay: z.number().min(0).optional(),
      }),
    )
    .optional(),
};

/** @param learningRate its schema: where no step is taken, only its ratio to those of groups counts */
export const optimizerSchema = <Rate extends z.ZodType>(learningRate: Rate) =>
  z.discriminatedUnion("type", [
    section({
      type: z.literal("adamw"),
      learningRate,
      ...optimizerCommon,
      betas: z.tuple([fraction, fraction]).default([0.9, 0.999]),
      epsilon: z.number().min(0).default(1e-8),
      weightDecay: z.number().min(0).default(0.01),
    }),
    section({
      type: z.literal("sgd"),
      learningRate,
      ...optimizerCommon,
      momentum: fraction.default(0),
      nesterov: z.boolean().default(false),
      weightDecay: z.number().min(0).default(0),
    }),
  ]);
