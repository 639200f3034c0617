import { existsSync } from "node:fs";
import path from "node:path";
import {
  contiguousPlace,
  isStoredArray,
  metadataFile,
  readDistributedCheckpoint,
  readTorchFile,
  type StoredArray,
  type StoredPiece,
} from "../files/index.js";
import { badModelFile, type FoundTensor } from "./found-tensors.js";

/** Where a program's own checkpoint has the weights, beside the optimizer and its counters. */
const holders = ["state_dict", "model_state_dict", "model", "module"];

/** Prefixes of a model's tensors in a distributed checkpoint. */
const prefix = /^(model|state_dict)\./;

export const isTorchWeights = (file: string): boolean => /\.(bin|pt|pth|ckpt)$/.test(file);
export const isDistributed = (folder: string): boolean => existsSync(path.join(folder, metadataFile));

/**
 * The tensors of a state_dict that torch.save wrote, by itself or within what was saved with it. Nothing of the file is executed.
 *
 * @throws CriticalSharpnessError `ERR_TORCH_FILE`, `ERR_MODEL_FILE`
 */
export async function torchTensors(file: string, signal: AbortSignal | undefined): Promise<FoundTensor[]> {
  const value = await readTorchFile(file, { signal });
  const held = holders
    .map((key) => (value instanceof Map ? value.get(key) : undefined))
    .find((one) => one instanceof Map);
  const dict: unknown = held ?? value;
  const entries = dict instanceof Map ? [...dict].filter(([, one]) => isStoredArray(one)) : [];
  if (entries.length === 0) throw badModelFile(file, "a state_dict's tensors", "none");
  return entries.map(([name, array]) => foundTensor(bareName(String(name)), array as StoredArray, file));
}

/** Without what torch.compile and DistributedDataParallel put before a module's names. */
const bareName = (name: string) => name.replace(/^(?:module\.|_orig_mod\.)+/, "");

/**
 * The configuration in a checkpoint of nanoGPT's, which has its weights beside `model_args`.
 *
 * @throws CriticalSharpnessError `ERR_TORCH_FILE`, `ERR_MODEL_FILE` for another program's file
 */
export async function nanogptConfiguration(
  file: string,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>> {
  const value = await readTorchFile(file, { signal });
  const settings = value instanceof Map ? value.get("model_args") : undefined;
  if (settings instanceof Map) return { model_type: "nanogpt", ...Object.fromEntries(settings) };
  throw badModelFile(
    file,
    'a folder with config.json, or a checkpoint of nanoGPT\'s with "model_args",',
    "a file of torch.save without: of any other model export a program (docs/any-model.md)",
  );
}

/** The tensors of a model in a distributed checkpoint; those of its optimizer are left out. */
export async function distributedTensors(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<FoundTensor[]> {
  const entries = await readDistributedCheckpoint(folder, { signal });
  const own = [...entries].filter(([name, value]) => isStoredArray(value) && !/^optim(izer)?[._]/.test(name));
  const nested = own.filter(([name]) => prefix.test(name));
  const chosen = nested.length > 0 ? nested : own;
  if (chosen.length === 0) throw badModelFile(folder, "a model's tensors", "none");
  const strip = (name: string) => (nested.length > 0 ? name.replace(prefix, "") : name);
  return chosen.map(([name, array]) => foundTensor(strip(name), array as StoredArray, folder));
}

function foundTensor(name: string, array: StoredArray, source: string): FoundTensor {
  const { dtype, shape, pieces } = array;
  const place = contiguousPlace(array);
  const count = shape.reduce((product, size) => product * size, 1);
  const width = { float64: 8, float32: 4, float16: 2, bfloat16: 2, int64: 8, int32: 4 }[dtype as string] ?? 1;
  const { path: file = source, byteOffset = 0 }: Partial<StoredPiece> = place ?? {};
  return {
    ...{ name, dtype, shape, path: file, byteOffset, byteLength: count * width },
    ...(place ? {} : { pieces }),
  };
}
