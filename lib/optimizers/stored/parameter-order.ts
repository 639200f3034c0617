import { isStoredArray } from "../../files/index.js";
import {
  type Parameter,
  type ParameterSet,
  parameterKind,
  parametersCalled,
  registeredParameters,
} from "../../models/index.js";
import { badState, type StoredGroup, type StoredOptimizer } from "./stored-optimizer.js";

/**
 * Which of the model's parameters each one of a stored state is, group by group. By its name, where the file has names. Else by its place:
 * indices run through the groups in order, each in the order of `named_parameters()`, and the groups are divided by one of the rules
 * that are in use; the rules that fit the number of parameters of every group and every shape must agree.
 *
 * @param order in place of these rules: the names of the model's parameters in the file's order
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` if none fits, or several that differ.
 */
export function parameterOrder(
  stored: StoredOptimizer,
  model: ParameterSet,
  order: readonly string[] | undefined,
): (readonly number[])[] {
  const { source, groups } = stored;
  const members = groups.flatMap(({ parameters }) => parameters);
  const names = order ?? members.flatMap(({ name }) => name ?? []);
  const { parameters, checkpoint } = model;
  if (order || names.length === members.length) {
    const found =
      names.length === members.length ? parametersCalled(names, parameters, checkpoint) : undefined;
    if (!found)
      throw badState(
        source,
        `names of the model's parameters ("${parameters[0]?.name}" and so on), ${members.length} of them`,
        `${names.length}: ${names
          .slice(0, 3)
          .map((name) => `"${name}"`)
          .join(", ")}${names.length > 3 ? ", …" : ""}`,
      );
    const misfit = firstMisfit(groups, split(found, groups), parameters);
    if (misfit !== undefined) throw badState(source, ...misfit);
    return split(found, groups);
  }
  const trainable = registeredParameters(parameters, checkpoint).filter((i) => parameters[i]?.trainable);
  // A group may have been left empty: that of norms and biases, where a model has none.
  const filled = groups.filter((group) => group.parameters.length > 0);
  const candidates = divisions(trainable, parameters, checkpoint !== undefined).filter(
    (division) =>
      division.length === filled.length && firstMisfit(filled, division, parameters) === undefined,
  );
  const distinct = new Map(candidates.map((division) => [JSON.stringify(division), division]));
  const [only] = distinct.values();
  if (only && distinct.size === 1) return groups.map((group) => only[filled.indexOf(group)] ?? []);
  const counts = groups.map((group) => group.parameters.length).join(" + ");
  throw badState(
    source,
    `${counts} parameters in an order that is known by their shapes: give the model's names in the file's order (parameters)`,
    only
      ? `one that ${distinct.size} rules read in different ways`
      : `another than transformers' Trainer has for these ${trainable.length} parameters`,
  );
}

/** Ways in which programs divide parameters into those that decay and those that do not. */
function divisions(trainable: readonly number[], parameters: readonly Parameter[], isLanguage: boolean) {
  const one = [trainable];
  const byRule = (decays: (parameter: Parameter) => boolean) => {
    const chosen = (is: boolean) => trainable.filter((i) => decays(parameters[i] as Parameter) === is);
    return [chosen(true), chosen(false)];
  };
  const isLayerNorm = ({ name }: Parameter) => {
    const bias = name.replace(/weight$/, "bias");
    return parameterKind(name) === "norms" && parameters.some((other) => other.name === bias);
  };
  const isBias = ({ name }: Parameter) => /bias/.test(name);
  const byTrainer = byRule(({ name }) => !undecayed.test(name));
  // Older ones ask for the class LayerNorm, which has a bias here, and leave out every norm's weight of that class alone.
  const byOldTrainer = byRule((parameter) => !isBias(parameter) && !(isLanguage && isLayerNorm(parameter)));
  const byDimension = byRule(({ shape }) => shape.length >= 2);
  return [one, byTrainer, byOldTrainer, byDimension].map((division) =>
    division.filter((group) => group.length > 0),
  );
}

/** What transformers' Trainer takes for biases and norms. */
const undecayed = /bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)|(?:^|\.)ln_\w+\./i;

function split(order: readonly number[], groups: readonly StoredGroup[]): number[][] {
  let start = 0;
  return groups.map(({ parameters }) => {
    start += parameters.length;
    return order.slice(start - parameters.length, start);
  });
}

/** The first parameter whose state has another shape than the model's; what was expected, and what is there. */
function firstMisfit(
  groups: readonly StoredGroup[],
  division: readonly (readonly number[])[],
  parameters: readonly Parameter[],
): [what: string, received: string] | undefined {
  for (const [g, { parameters: members }] of groups.entries()) {
    const indices = division[g] ?? [];
    if (indices.length !== members.length)
      return [`${indices.length} parameters in group ${g}`, `${members.length}`];
    for (const [k, { state }] of members.entries()) {
      const { name, shape } = parameters[indices[k] as number] as Parameter;
      for (const [key, value] of state)
        if (isStoredArray(value) && value.shape.length > 0 && String(value.shape) !== String(shape))
          return [`shape [${shape}] of "${key}" of "${name}"`, `[${value.shape}]`];
    }
  }
  return undefined;
}
