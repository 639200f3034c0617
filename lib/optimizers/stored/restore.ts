import {
  contiguousPlace,
  floatingDtype,
  floatingDtypes,
  isStoredArray,
  type StoredArray,
} from "../../files/index.js";
import type { ParameterSet } from "../../models/index.js";
import {
  type FileTensor,
  type NativeOptimizer,
  type NativeVector,
  native,
  withSignal,
} from "../../torch/index.js";
import type { OptimizerRule } from "../rule.js";
import { badState, type StoredOptimizer, type StoredParameter } from "./stored-optimizer.js";

/** What a restored state is for. */
export interface Restored {
  handle: NativeOptimizer;
  model: ParameterSet;
  rule: OptimizerRule;
}

/**
 * Takes a stored state's tensors for an optimizer's own: mapped where they lie, if they are of the vectors' dtype.
 *
 * @param order of each parameter of each group its place in the model
 * @returns whether something of the state is not in PyTorch's files: the last gradient, which Δ is made of
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE`: the state is as it was; AbortError
 */
export async function restoreStored(
  { handle, model, rule }: Restored,
  stored: StoredOptimizer,
  order: readonly (readonly number[])[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { source, groups } = stored;
  const members = new Map<number, StoredParameter>();
  for (const [g, { parameters }] of groups.entries())
    for (const [k, parameter] of parameters.entries()) members.set(order[g]?.[k] as number, parameter);
  requireTrainable(model, members, source);
  const steps = stepsOf([...members.values()], source);
  const roles = steps === 0 ? [] : [...new Set(handle.roles.flat())];
  const state: Record<string, NativeVector> = {};
  try {
    for (const role of roles) {
      const key = rule.torch.roles[role];
      const places = model.parameters.map((_, i): FileTensor | null => {
        const tensor = key === undefined ? undefined : members.get(i)?.state.get(key);
        return isStoredArray(tensor) ? fileTensor(tensor, source) : null;
      });
      state[role] = await withSignal(signal, (cancel) =>
        native().loadVector(model.handle, places, { cancel }),
      );
    }
    await handle.restore(steps, state);
  } finally {
    for (const vector of Object.values(state)) vector.dispose();
  }
  return roles.some((role) => rule.torch.roles[role] === undefined);
}

/** @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` unless the state is of just those that are not frozen. */
function requireTrainable(
  model: ParameterSet,
  members: ReadonlyMap<number, StoredParameter>,
  source: string,
) {
  for (const [i, { name, trainable }] of model.parameters.entries()) {
    if (trainable === members.has(i)) continue;
    throw badState(
      source,
      "state of the parameters that are trained, and of no other,",
      trainable
        ? `none of "${name}": load the model with "trainable" for those that were trained`
        : `that of "${name}", which is frozen`,
    );
  }
}

/** How many gradients the state has: PyTorch counts them for each parameter. */
function stepsOf(members: readonly StoredParameter[], source: string): number {
  const counts = new Set<number>();
  for (const { state } of members) {
    if (state.size === 0) continue;
    const step = state.get("step");
    // Rules that have no use for the number do not keep it.
    counts.add(typeof step === "number" ? step : 1);
  }
  const [first = 0, second] = counts;
  if (second !== undefined)
    throw badState(source, "the same number of steps for all parameters", `${first} and ${second}`);
  if (!Number.isSafeInteger(first) || first < 0) throw badState(source, "a count of steps", String(first));
  const hasMoments = members.some(({ state }) =>
    [...state].some(([key, value]) => key !== "step" && isStoredArray(value)),
  );
  if (first === 0 && hasMoments)
    throw badState(
      source,
      "a count of at least one step beside its moments",
      "0, as OLMo-core's SkipStepAdamW leaves it, whose bias correction is that of the first step always: --optimizer-state none accumulates moments anew",
    );
  return first;
}

function fileTensor(array: StoredArray, source: string): FileTensor {
  const { pieces } = array;
  const dtype = floatingDtype(array);
  if (!dtype) throw badState(source, `${floatingDtypes} in its tensors`, array.dtype);
  const whole = contiguousPlace(array);
  return whole ? { path: whole.path, byteOffset: whole.byteOffset, dtype } : { pieces, dtype };
}
