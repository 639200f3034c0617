import { readdir } from "node:fs/promises";
import path from "node:path";
import { throwIfAborted } from "../../errors.js";
import {
  isStoredArray,
  openFile,
  readDistributedCheckpoint,
  readExactly,
  readTorchFile,
  type StoredArray,
  storedNumbers,
} from "../../files/index.js";
import type { FoundState } from "./find-state.js";
import {
  badState,
  optimizerOfDistributed,
  optimizerOfStateDict,
  type StoredGroup,
  type StoredOptimizer,
} from "./stored-optimizer.js";

/**
 * Reads what an optimizer of PyTorch's has left. Of its tensors only those without axes are read, which are numbers: counts of
 * steps, learning rates.
 *
 * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE`, `ERR_TORCH_FILE`, `ERR_FILE`; AbortError
 */
export async function readStoredOptimizer(
  { place, format }: FoundState,
  signal?: AbortSignal | undefined,
): Promise<StoredOptimizer> {
  if (format === "universal") return resolved(await readUniversal(place, signal), signal);
  const stored =
    format === "distributed"
      ? optimizerOfDistributed(await readDistributedCheckpoint(place, { signal }), place)
      : optimizerOfStateDict(await readTorchFile(place, { signal }), place);
  return resolved(stored, signal);
}

/** States of DeepSpeed's universal checkpoint: a folder for each parameter, with a file for each of them. */
const universalStates = ["exp_avg", "exp_avg_sq", "step"] as const;

async function readUniversal(folder: string, signal: AbortSignal | undefined): Promise<StoredOptimizer> {
  const settings = await readTorchFile(path.join(folder, "optimizer_state.pt"), { signal });
  const all = settings instanceof Map ? settings.get("param_groups") : undefined;
  const groups: ReadonlyMap<string, unknown>[] = Array.isArray(all)
    ? all.filter((one) => one instanceof Map)
    : [];
  const [first] = groups;
  if (!first) throw badState(folder, 'settings of its groups in "optimizer_state.pt"', "none");
  for (const key of ["lr", "weight_decay"])
    if (groups.some((group) => group.get(key) !== first.get(key)))
      throw badState(
        folder,
        `one "${key}" for all groups, as a universal checkpoint does not say which parameters are in which,`,
        groups.map((group) => String(group.get(key))).join(", "),
      );
  const entries = await readdir(folder, { withFileTypes: true });
  const parameters: StoredGroup["parameters"][number][] = [];
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    throwIfAborted(signal);
    const state = new Map<string, StoredArray | number>();
    for (const key of universalStates) {
      const value = await readTorchFile(path.join(folder, name, `${key}.pt`), { signal });
      const one = value instanceof Map ? value.get("param") : value;
      if (isStoredArray(one) || typeof one === "number") state.set(key, one);
    }
    parameters.push({ name, state });
  }
  return { source: folder, groups: [{ settings: first, parameters }] };
}

/** The same, with numbers in place of tensors without axes. */
async function resolved(stored: StoredOptimizer, signal: AbortSignal | undefined): Promise<StoredOptimizer> {
  const scalars = new Map<StoredArray, number>();
  const note = (value: unknown) => {
    if (isStoredArray(value) && value.shape.length === 0) scalars.set(value, Number.NaN);
  };
  for (const { settings, parameters } of stored.groups) {
    for (const value of settings.values()) note(value);
    for (const { state } of parameters) for (const value of state.values()) note(value);
  }
  await readScalars(scalars, stored.source, signal);
  const read = <V>(value: V) => (isStoredArray(value) ? (scalars.get(value) ?? value) : value);
  const all = <V>(values: ReadonlyMap<string, V>) =>
    new Map([...values].map(([key, value]) => [key, read(value)]));
  return {
    ...stored,
    groups: stored.groups.map(({ settings, parameters }) => ({
      settings: all(settings),
      parameters: parameters.map(({ name, state }) => ({ name, state: all(state) })),
    })),
  };
}

async function readScalars(
  scalars: Map<StoredArray, number>,
  source: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const byPath = new Map<string, StoredArray[]>();
  for (const scalar of scalars.keys()) {
    const file = scalar.pieces[0]?.path ?? "";
    byPath.set(file, [...(byPath.get(file) ?? []), scalar]);
  }
  for (const [name, arrays] of byPath) {
    await using file = await openFile(name, "r");
    for (const array of arrays) {
      throwIfAborted(signal);
      const [piece] = array.pieces;
      const width = { float64: 8, float32: 4, float16: 2, bfloat16: 2, int64: 8, int32: 4 }[
        array.dtype as string
      ];
      if (!piece || width === undefined) throw badState(source, "a number", `one of the type ${array.dtype}`);
      const bytes = await readExactly(file, piece.byteOffset, width);
      const [number] = storedNumbers(new Uint8Array(bytes).buffer as ArrayBuffer, array.dtype) ?? [];
      scalars.set(array, Number(number));
    }
  }
}
