import * as z from "zod";
import { throwIfAborted } from "../../errors.js";
import { ParameterSet } from "../../models/index.js";
import {
  checkInstance,
  checkString,
  type OptionsOf,
  readOptions,
  signalSchema,
} from "../../options/index.js";
import { ownSignal } from "../../torch/index.js";
import type { ParameterGroup } from "../groups.js";
import { Optimizer } from "../optimizer.js";
import { makeOptimizer, type OptimizerChoice, rules } from "../registry.js";
import type { OptimizerRule } from "../rule.js";
import { locateState } from "./find-state.js";
import { parameterOrder } from "./parameter-order.js";
import { readStoredOptimizer } from "./read-optimizer.js";
import { badState, type StoredOptimizer } from "./stored-optimizer.js";
import { storedRule } from "./stored-rule.js";
import { torchSettings } from "./torch-settings.js";

const loadShape = {
  /**
   * The names of the model's parameters in the order in which the file has them. Default: the names in the file, or the one order that
   * fits the number of parameters of each group and all shapes.
   */
  parameters: z.array(z.string()).min(1).optional(),
  /** Stops the call: it rejects with an AbortError. */
  signal: signalSchema.optional(),
};
const loadSchema = z.strictObject(loadShape);

export type LoadOptimizerOptions = OptionsOf<typeof loadShape>;

/**
 * The optimizer that a run of PyTorch's has left: its rule, its groups with their decay, η of the next step, and its state. Of a file
 * of torch.save (a Trainer's `optimizer.pt`, accelerate's `optimizer.bin`, what a program saved of its own with the `state_dict()` in it),
 * a folder with one of these, a distributed checkpoint (FSDP, torchtitan, OLMo-core), or DeepSpeed's universal one. Nothing of a
 * file is executed. State tensors of the vectors' dtype are mapped where they lie: a file must not be cut short or overwritten while the
 * optimizer lives.
 *
 * What the last gradient was no such file says: where Δ is made of it (Lion, Nesterov's momentum), the optimizer has none before the
 * next `accumulate`. Of a parameter without state there, which has had no gradient, Δ has no decay.
 *
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` for another rule's state (Adafactor, 8-bit, Adam with L2 regularization) and one whose
 *   parameters are not the model's trained ones; `ERR_TORCH_FILE`, `ERR_FILE`; AbortError. TypeError, RangeError naming the option.
 */
export async function loadOptimizer(
  place: string,
  model: ParameterSet,
  options: LoadOptimizerOptions = {},
): Promise<Optimizer> {
  checkString(place, "place");
  checkInstance(model, "model", ParameterSet, "a Model");
  const { signal: given, parameters } = readOptions(loadSchema, options);
  const signal = ownSignal(given, model.handle);
  throwIfAborted(signal);
  const found = await locateState(place);
  if (found.format === "own")
    throw badState(
      found.place,
      "the options too, as a file of PyTorch's has them",
      "a state of this package's alone: make the optimizer, and let it load the state",
    );
  const stored = await readStoredOptimizer(found, signal);
  const rule = storedRule(stored, rules);
  const order = parameterOrder(stored, model, parameters);
  const choice = choiceOf(stored, rule, model, order);
  const optimizer = makeOptimizer(model, choice.optimizer);
  try {
    await Optimizer.restore(optimizer, stored, order, signal);
    optimizer.learningRate = choice.learningRate;
    return optimizer;
  } catch (error) {
    optimizer.dispose();
    throw error;
  }
}

/** The optimizer's options: the first group's, and a group for each other that differs in learning rate or decay. */
function choiceOf(
  stored: StoredOptimizer,
  rule: OptimizerRule,
  model: ParameterSet,
  order: readonly (readonly number[])[],
): { optimizer: OptimizerChoice; learningRate: number } {
  const { source } = stored;
  const settings = stored.groups.map((group) => torchSettings(group, source));
  const own = settings.map((one) => rule.torch.options(one));
  const other = own.find((options) => JSON.stringify(options) !== JSON.stringify(own[0]));
  if (other)
    throw badState(
      source,
      `${rule.type} with the same options in all groups`,
      JSON.stringify([own[0], other]),
    );
  const rates = settings.map((one) => one.number("lr"));
  // A schedule that has come to its end leaves zeros, of which no ratio is to be had.
  const ratesOf = rates.every((rate) => rate > 0)
    ? rates
    : settings.map((one) => (one.has("initial_lr") ? one.number("initial_lr") : 1));
  const decays = settings.map((one) => (one.has("weight_decay") ? one.number("weight_decay") : 0));
  const [learningRate = 1] = ratesOf;
  const [weightDecay = 0] = decays;
  const groups: ParameterGroup[] = [];
  for (const [g, { parameters }] of stored.groups.entries()) {
    const names = (of: (k: number) => boolean) =>
      (order[g] ?? []).flatMap((i, k) => (of(k) ? [model.parameters[i]?.name as string] : []));
    const hasState = (k: number) => (parameters[k]?.state.size ?? 0) > 0;
    const rate = ratesOf[g] === learningRate ? {} : { learningRate: ratesOf[g] };
    const moved = { ...rate, ...(decays[g] === weightDecay ? {} : { weightDecay: decays[g] }) };
    const chosen = [
      { parameters: names(hasState), ...moved },
      { parameters: names((k) => !hasState(k)), ...rate, weightDecay: 0 },
    ];
    groups.push(...chosen.filter((group) => group.parameters.length > 0 && Object.keys(group).length > 1));
  }
  return {
    optimizer: { type: rule.type, learningRate, weightDecay, groups, ...own[0] } as OptimizerChoice,
    learningRate: rates[0] as number,
  };
}
