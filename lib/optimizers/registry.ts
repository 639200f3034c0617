import * as z from "zod";
import type { ParameterSet } from "../models/index.js";
import { checkChoice, checkOptions, flags, names, section } from "../options/index.js";
import type { Optimizer } from "./optimizer.js";
import type { OptimizerRule } from "./rule.js";
import * as classes from "./rules.js";

type Class = (typeof classes)[keyof typeof classes];
type Kind = Class["rule"]["type"];

/**
 * An optimizer by its name and options. Where no step is taken, the learning rate counts only as what those of the
 * groups are relative to; its default is 1.
 */
export type OptimizerChoice = {
  [Name in keyof typeof classes]: { type: (typeof classes)[Name]["rule"]["type"] } & Partial<
    ConstructorParameters<(typeof classes)[Name]>[1]
  >;
}[keyof typeof classes];

const byKind = Object.fromEntries(
  Object.values(classes).map((one) => [one.rule.type, one]),
) as unknown as Record<Kind, { rule: OptimizerRule; new (model: ParameterSet, options: object): Optimizer }>;
/** The names of all rules. */
export const kinds = Object.keys(byKind) as Kind[];

const classOf = (type: unknown) => byKind[checkChoice<Kind>(type, "options.optimizer.type", kinds)];

/** All rules. */
export const rules: readonly OptimizerRule[] = Object.values(byKind).map(({ rule }) => rule);

/** @throws TypeError, RangeError naming the option. */
export function makeOptimizer(model: ParameterSet, choice: OptimizerChoice): Optimizer {
  const { type, ...options } = checkOptions(choice, "options.optimizer");
  return new (classOf(type))(model, { learningRate: 1, ...options });
}

/** What a chosen optimizer says by its options alone. */
export const ruleOf = ({ type }: { type: unknown }): OptimizerRule => classOf(type).rule;

/** Whether λmax(P⁻¹H) is another number than λmax(H) with a chosen optimizer. */
export function hasPreconditioner(
  choice: { type: unknown } & Pick<Partial<OptimizerChoice>, "learningRate" | "groups">,
): boolean {
  const { metric } = ruleOf(choice);
  const { learningRate: own, groups = [] } = choice;
  const differ = groups.some(({ learningRate }) => learningRate !== undefined && learningRate !== own);
  return metric === "diagonal" || (metric === "identity" && differ);
}

/** Gradients that an optimizer's state usually needs before its Δ is as in training. */
export const usualAccumulation = (choice: { type: unknown }): number =>
  ruleOf(choice).hasMemory(choice) ? 20 : 1;

/** As most language models are trained: β = (0.9, 0.95), ε = 1e-8, γ = 0.1. */
export const usualOptimizer = {
  type: "adamw" as const,
  betas: [0.9, 0.95] as [number, number],
  weightDecay: 0.1,
};

const groups = z
  .array(
    section({
      parameters: names.describe("Names, or patterns of names."),
      learningRate: z.number().gt(0).optional().describe("η of these."),
      weightDecay: z.number().min(0).optional().describe("γ of these."),
    }),
  )
  .optional()
  .describe("Parameters by glob, with a learning rate or a weight decay of their own.");

const decay = (usual: number) =>
  z
    .number()
    .min(0)
    .default(usual)
    .describe("Weight decay γ, decoupled: γθ is added to Δ.")
    .register(flags, { flag: "--decay <x>" });

interface Common<Kind extends string, Rate extends z.ZodType> {
  type: z.ZodLiteral<Kind>;
  learningRate: Rate;
  groups: typeof groups;
  weightDecay: ReturnType<typeof decay>;
}
type SectionOf<Rule, Rate extends z.ZodType> = Rule extends OptimizerRule<never, infer Shape> & {
  type: infer Kind;
}
  ? z.ZodObject<z.util.Extend<Common<Kind & string, Rate>, Shape>, z.core.$strict>
  : never;

/** @param learningRate its schema: where no step is taken, only its ratio to those of groups counts */
export function optimizerSchema<Rate extends z.ZodType>(learningRate: Rate) {
  const forms = Object.values(classes).map(({ rule }) =>
    section({
      type: z.literal(rule.type),
      learningRate,
      groups,
      ...rule.options,
      weightDecay: decay(rule.weightDecay),
    }),
  );
  type Form = SectionOf<Class["rule"], Rate>;
  return z
    .discriminatedUnion("type", forms as unknown as [Form, ...Form[]])
    .describe("What makes Δ, with its state.")
    .register(flags, { flag: "--optimizer <name>", at: ["type"], choices: kinds, help: "what makes Δ" });
}
