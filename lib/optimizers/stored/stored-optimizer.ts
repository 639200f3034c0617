import { unusable } from "../../errors.js";
import { isStoredArray, type StoredArray } from "../../files/index.js";

/** A setting or a state as PyTorch's files have it: numbers, strings, lists, and tensors where they lie. */
export type StoredValue = unknown;

/** A parameter of an optimizer's state. */
export interface StoredParameter {
  /** PyTorch's name of it, where the file says it. */
  name: string | undefined;
  /** Its state tensors and numbers, by PyTorch's keys; empty before its first gradient. */
  state: ReadonlyMap<string, StoredArray | number>;
}

export interface StoredGroup {
  /** What PyTorch's `param_groups` says: lr, betas, eps, weight_decay. */
  settings: ReadonlyMap<string, StoredValue>;
  /** In the file's order. */
  parameters: readonly StoredParameter[];
}

/** The state of an optimizer of PyTorch's, whatever wrote it. */
export interface StoredOptimizer {
  /** What to call it in messages. */
  source: string;
  groups: readonly StoredGroup[];
}

export function badState(source: string, what: string, received: string, cause?: unknown) {
  return unusable("ERR_OPTIMIZER_STATE", what, `the optimizer state "${source}"`, received, cause);
}

const isMap = (value: unknown): value is ReadonlyMap<unknown, unknown> => value instanceof Map;

/** Where a state may lie within what a program saved of its own: `{ model, optimizer }`, Lightning's `optimizer_states`. */
const deepest = 3;

/**
 * The optimizer's state of a file of torch.save: a `state_dict()`, by itself or within what was saved with it.
 *
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` where there is none, or more than one.
 */
export function optimizerOfStateDict(value: unknown, source: string): StoredOptimizer {
  const found: ReadonlyMap<unknown, unknown>[] = [];
  const look = (at: unknown, depth: number) => {
    if (isMap(at) && isMap(at.get("state")) && Array.isArray(at.get("param_groups"))) found.push(at);
    else if (depth > 0 && (isMap(at) || Array.isArray(at)))
      for (const [, one] of [...at.entries()].slice(0, 1000)) look(one, depth - 1);
  };
  look(value, deepest);
  const [dict, other] = found;
  if (!dict) throw badState(source, 'the keys "state" and "param_groups" of an optimizer', "none with both");
  if (other) throw badState(source, "the state of one optimizer", `those of ${found.length}`);
  const states = dict.get("state") as ReadonlyMap<unknown, unknown>;
  const groups = (dict.get("param_groups") as unknown[]).map((group, g): StoredGroup => {
    if (!isMap(group)) throw badState(source, `settings of its group ${g}`, "something else");
    const settings = new Map([...group].map(([key, one]) => [String(key), one]));
    const members = settings.get("params");
    if (!Array.isArray(members)) throw badState(source, `a list "params" in its group ${g}`, "none");
    const names = settings.get("param_names");
    return {
      settings,
      parameters: members.map((member: unknown, i) => ({
        name: nameOf(member, Array.isArray(names) ? names[i] : undefined),
        state: stateOf(states.get(member), source),
      })),
    };
  });
  return { source, groups };
}

function nameOf(member: unknown, name: unknown): string | undefined {
  if (typeof name === "string") return name;
  return typeof member === "string" ? member : undefined;
}

function stateOf(value: unknown, source: string): Map<string, StoredArray | number> {
  const state = new Map<string, StoredArray | number>();
  if (value === undefined) return state;
  if (!isMap(value)) throw badState(source, "each parameter's state by key", "something else");
  for (const [key, one] of value) {
    if (isStoredArray(one) || typeof one === "number") state.set(String(key), one);
    else if (typeof one === "bigint") state.set(String(key), Number(one));
  }
  return state;
}

/** The key of a state, and of a setting of a group, in a distributed checkpoint. */
const stateKey = /^(?:optim(?:izer)?(?:_\d+)?\.)?state\.(.+)\.(\w+)$/;
const groupKey = /^(?:optim(?:izer)?(?:_\d+)?\.)?param_groups\.(.+)\.(\w+)$/;

/**
 * The optimizer's state of a distributed checkpoint, which goes by names: with groups of their own, or the settings of each parameter.
 *
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` where there is none.
 */
export function optimizerOfDistributed(
  entries: ReadonlyMap<string, unknown>,
  source: string,
): StoredOptimizer {
  const states = new Map<string, Map<string, StoredArray | number>>();
  const settings = new Map<string, Map<string, unknown>>();
  const put = <V>(into: Map<string, Map<string, V>>, [, name = "", key = ""]: RegExpExecArray, value: V) =>
    into.set(name, (into.get(name) ?? new Map<string, V>()).set(key, value));
  for (const [key, value] of entries) {
    const [state, group] = [stateKey.exec(key), groupKey.exec(key)];
    if (state && (isStoredArray(value) || typeof value === "number")) put(states, state, value);
    else if (group) put(settings, group, value);
  }
  if (states.size === 0) throw badState(source, 'tensors of an optimizer, "optim.state.<name>.…",', "none");
  if (settings.size === 0) throw badState(source, "settings of an optimizer's groups", "none");
  const parameter = (name: string): StoredParameter => ({ name, state: states.get(name) ?? new Map() });
  const groups = [...settings].map(([name, own]): StoredGroup & { isNumbered: boolean } => {
    const members = own.get("params");
    return Array.isArray(members)
      ? { settings: own, parameters: members.map((one) => parameter(String(one))), isNumbered: true }
      : { settings: own, parameters: [parameter(name)], isNumbered: /^\d+$/.test(name) };
  });
  const bare = groups.find(({ settings: own, isNumbered }) => isNumbered && !own.has("params"));
  if (bare) throw badState(source, 'the names of its groups\' parameters, "params",', "none");
  return { source, groups };
}
