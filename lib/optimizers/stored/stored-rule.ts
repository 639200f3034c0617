import { isStoredArray } from "../../files/index.js";
import type { OptimizerRule } from "../rule.js";
import { badState, type StoredOptimizer } from "./stored-optimizer.js";

/** What other optimizers of PyTorch's ecosystem are known by: a key that their states alone have. */
const others: readonly [key: RegExp, name: string][] = [
  [/^exp_avg_sq_(row|col)$/, "Adafactor"],
  [/^(state[12]|qmap[12]|absmax[12])$/, "an 8-bit optimizer of bitsandbytes"],
  [/^mu_product$/, "NAdam"],
  [/^exp_inf$/, "Adamax"],
  [/^square_avg$/, "RMSprop or Adadelta"],
  [/^sum$/, "Adagrad"],
  [/^prev$/, "Rprop or LBFGS"],
  [/^(GG|Q)$/, "SOAP or Shampoo"],
];

/**
 * The rule that a stored state is of: by the settings of its groups and the tensors of its parameters.
 *
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE` naming another optimizer, or what the state has.
 */
export function storedRule(stored: StoredOptimizer, rules: readonly OptimizerRule[]): OptimizerRule {
  const { source, groups } = stored;
  const keys = new Set<string>();
  const numbers = new Set<string>();
  for (const { parameters } of groups)
    for (const { state } of parameters)
      for (const [key, value] of state) (isStoredArray(value) ? keys : numbers).add(key);
  const found = rules.filter(({ torch: { settings, roles } }) => {
    const expected = Object.values(roles);
    const hasSettings = groups.every((group) => settings.every((key) => group.settings.has(key)));
    const hasRoles = expected.every((key) => keys.has(key)) && keys.size === expected.length;
    return hasSettings && (keys.size === 0 || hasRoles || onlyMore(keys, expected));
  });
  const known = others.find(([key]) => [...keys, ...numbers].some((one) => key.test(one)));
  const [rule] = found.sort((a, b) => b.torch.settings.length - a.torch.settings.length);
  if (rule && !known) return rule;
  const received = known?.[1] ?? `one with ${[...keys].map((key) => `"${key}"`).join(", ") || "no state"}`;
  throw badState(
    source,
    `the state of ${rules.map(({ type }) => type).join(", ")} as PyTorch has them`,
    received,
  );
}

/** What a setting that is refused by name, AdamW's amsgrad, keeps beside the moments. */
const onlyMore = (keys: ReadonlySet<string>, expected: readonly string[]) =>
  keys.has("max_exp_avg_sq") && expected.includes("exp_avg_sq") && keys.size === expected.length + 1;
