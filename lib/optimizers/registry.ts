import * as z from "zod";
import type { Model } from "../models/index.js";
import { checkChoice, checkOptions, flags, fraction, names, section } from "../options/index.js";
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
        parameters: names.describe("Names, or patterns of names."),
        learningRate: z.number().gt(0).optional().describe("η of these."),
        weightDecay: z.number().min(0).optional().describe("γ of these."),
      }),
    )
    .optional()
    .describe("Parameters by glob, with a learning rate or a weight decay of their own."),
};

const decay = (usual: number) =>
  z
    .number()
    .min(0)
    .default(usual)
    .describe("Weight decay γ, decoupled in AdamW.")
    .register(flags, { flag: "--decay <x>" });

/** As most language models are trained: β = (0.9, 0.95), ε = 1e-8, γ = 0.1. */
export const usualOptimizer = {
  type: "adamw" as const,
  betas: [0.9, 0.95] as [number, number],
  weightDecay: 0.1,
};

/** @param learningRate its schema: where no step is taken, only its ratio to those of groups counts */
export const optimizerSchema = <Rate extends z.ZodType>(learningRate: Rate) =>
  z
    .discriminatedUnion("type", [
      section({
        type: z.literal("adamw"),
        learningRate,
        ...optimizerCommon,
        betas: z
          .tuple([fraction, fraction])
          .default([0.9, 0.999])
          .describe("β₁, β₂ of AdamW.")
          .register(flags, { flag: "--betas <b1,b2>" }),
        epsilon: z
          .number()
          .min(0)
          .default(1e-8)
          .describe("ε of AdamW.")
          .register(flags, { flag: "--epsilon <x>" }),
        weightDecay: decay(0.01),
      }),
      section({
        type: z.literal("sgd"),
        learningRate,
        ...optimizerCommon,
        momentum: fraction.default(0).describe("μ of SGD.").register(flags, { flag: "--momentum <x>" }),
        nesterov: z.boolean().default(false).describe("Nesterov's form of momentum."),
        weightDecay: decay(0),
      }),
    ])
    .describe("What makes Δ, with its state.")
    .register(flags, { flag: "--optimizer <name>", at: ["type"], choices: kinds, help: "what makes Δ" });
