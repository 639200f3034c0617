import { expected } from "../errors.js";
import { type ParameterSelection, type ParameterSet, select } from "../models/index.js";
import { checkNumber, checkOptions } from "../options/index.js";
import type { NativeOptimizerGroup } from "../torch/index.js";
import type { NativeRules } from "./rule.js";

/** Parameters with settings of their own; each parameter is in at most one group. */
export interface ParameterGroup {
  parameters: ParameterSelection;
  /** Default: the optimizer's. What counts is its ratio to the optimizer's, which scales Δ. */
  learningRate?: number;
  /** Default: the optimizer's. */
  weightDecay?: number;
}

export interface OptimizerOptions {
  /** η of a step that names none. */
  learningRate: number;
  /** γ, decoupled: γθ is added to Δ. */
  weightDecay?: number;
  groups?: readonly ParameterGroup[];
}

/**
 * The options of every optimizer, checked: the learning rate, and each parameter's ratio and decay. `own`: what a rule has for
 * each parameter where no group says any other.
 */
export function checkOptimizerOptions(
  model: ParameterSet,
  options: Record<string, unknown>,
  defaultWeightDecay: number,
  own: NativeRules["own"] = [],
): { learningRate: number; groups: NativeOptimizerGroup } {
  const learningRate = checkNumber(options.learningRate, "options.learningRate", { minimum: 0 });
  const weightDecay =
    options.weightDecay === undefined
      ? defaultWeightDecay
      : checkNumber(options.weightDecay, "options.weightDecay", { minimum: 0 });
  const ratioOf = (rate: unknown, subject: string) =>
    rate === undefined ? 1 : groupRatio(rate, learningRate, subject);
  const ratios = model.parameters.map((_, i) => ratioOf(own[i]?.learningRate, "options"));
  const decays = model.parameters.map((_, i) => own[i]?.weightDecay ?? weightDecay);
  const taken = new Set<number>();
  for (const [g, group] of checkGroups(options.groups).entries()) {
    const subject = `options.groups[${g}]`;
    const ratio = ratioOf(group.learningRate, subject);
    const decay =
      group.weightDecay === undefined
        ? undefined
        : checkNumber(group.weightDecay, `${subject}.weightDecay`, { minimum: 0 });
    for (const [i, chosen] of select(model.parameters, group.parameters, `${subject}.parameters`).entries()) {
      if (!chosen) continue;
      if (taken.has(i))
        throw expected("each parameter in one group", subject, model.parameters[i]?.name, "range");
      taken.add(i);
      if (group.learningRate !== undefined) ratios[i] = ratio;
      if (decay !== undefined) decays[i] = decay;
    }
  }
  return { learningRate, groups: { learningRateRatio: ratios, weightDecay: decays } };
}

function checkGroups(groups: unknown): Record<string, unknown>[] {
  if (groups === undefined) return [];
  if (!Array.isArray(groups)) throw expected("an array", "options.groups", groups);
  return groups.map((group, g) => checkOptions(group, `options.groups[${g}]`));
}

function groupRatio(value: unknown, base: number, subject: string): number {
  const rate = checkNumber(value, `${subject}.learningRate`, { above: 0 });
  if (base === 0)
    throw expected("a learning rate > 0 beside groups with their own", "options.learningRate", base, "range");
  return rate / base;
}
