import type { TorchSettings } from "../rule.js";
import { badState, type StoredGroup } from "./stored-optimizer.js";

/** What `param_groups` says of a group, checked as it is asked for. */
export function torchSettings({ settings }: StoredGroup, source: string): TorchSettings {
  const bad = (key: string, what: string) =>
    badState(source, `${what} for "${key}" of a group`, describe(settings.get(key)));
  const number = (key: string): number => {
    const value = settings.get(key);
    if (typeof value !== "number" || !Number.isFinite(value)) throw bad(key, "a finite number");
    return value;
  };
  return {
    number,
    has: (key) => settings.has(key) && settings.get(key) !== null,
    numbers(key: string, count: 2 | 3) {
      const value = settings.get(key);
      const isRight = Array.isArray(value) && value.length === count && value.every(Number.isFinite);
      if (!isRight) throw bad(key, `${count} finite numbers`);
      return [...value] as [number, number] & [number, number, number];
    },
    flag: (key) => settings.get(key) === true,
    text: (key) => {
      const value = settings.get(key);
      return typeof value === "string" ? value : undefined;
    },
    refuse(name) {
      throw badState(source, "the state of a rule that there is here", name);
    },
    without(...keys) {
      for (const key of keys) {
        const value = settings.get(key);
        if (value !== undefined && value !== null && value !== false && value !== 0)
          throw bad(key, "a rule that is the same here, without it,");
      }
    },
  };
}

function describe(value: unknown): string {
  if (value === undefined) return "none";
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? `[${value}]` : "something else";
  return String(value);
}
