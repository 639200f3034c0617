import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import {
  adapterFolder,
  foreignBytes,
  foreignFile,
  notAModel,
  openFile,
  readExactly,
  readSafetensorsHeader,
  storedNumbers,
} from "../files/index.js";
import { badModelFile, type FoundTensor, type FoundTensors, inOneBlock } from "./found-tensors.js";
import { distributedTensors, isDistributed, isTorchWeights, torchTensors } from "./torch-weights.js";

/** A model's `config.json`. @throws CriticalSharpnessError that says what stands in the folder's place. */
export async function readConfiguration(directory: string): Promise<unknown> {
  const file = path.join(directory, "config.json");
  if (!existsSync(file))
    throw new CriticalSharpnessError(
      "ERR_FILE",
      `Expected a model's configuration for "${file}" but received ${await notAModel(directory)}`,
    );
  const adapter = await adapterFolder(directory);
  if (adapter !== undefined)
    throw badModelFile(
      directory,
      "a model without an adapter beside it (if it is merged already, remove adapter_config.json)",
      adapter,
    );
  const configuration = await readJson(file);
  const isRun = existsSync(path.join(directory, "metrics.jsonl"));
  if (isRun && (configuration as { model_type?: unknown } | null)?.model_type === undefined)
    throw badModelFile(
      file,
      "a model's configuration",
      `a run's: its model is in "${path.join(directory, "checkpoint")}"`,
    );
  return configuration;
}

/** @throws CriticalSharpnessError if it cannot be read or is no JSON */
export async function readJson(file: string): Promise<unknown> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new CriticalSharpnessError(
      "ERR_FILE",
      `Expected a readable file for "${file}" but received: ${(error as Error).message}`,
      { cause: error },
    );
  }
  try {
    return JSON.parse(bytes.toString("utf8").replace(/^\uFEFF/, ""));
  } catch (error) {
    throw badModelFile(
      file,
      "JSON",
      foreignFile(bytes.subarray(0, foreignBytes)) ?? (error as Error).message,
    );
  }
}

/** Where the tensors of a model's folder, or of one file, lie. */
export async function findTensors(directory: string, signal: AbortSignal | undefined): Promise<FoundTensors> {
  const { files, source, weightMap } = await weightFiles(directory);
  const tensors = new Map<string, FoundTensor>();
  for (const file of files) {
    throwIfAborted(signal);
    for (const tensor of await tensorsOf(file, signal)) {
      const other = tensors.get(tensor.name);
      if (other)
        throw badModelFile(file, `a tensor "${tensor.name}" once`, `it again (it is in "${other.path}" too)`);
      tensors.set(tensor.name, tensor);
    }
  }
  for (const [name, file] of Object.entries(weightMap)) {
    const found = tensors.get(name);
    if (!found || path.basename(found.path) !== file)
      throw badModelFile(
        source,
        `a tensor "${name}" in "${file}", as it says,`,
        found ? `it in "${path.basename(found.path)}"` : "none of that name",
      );
  }
  return { tensors, source };
}

async function tensorsOf(file: string, signal: AbortSignal | undefined): Promise<FoundTensor[]> {
  if (isDistributed(file)) return distributedTensors(file, signal);
  if (isTorchWeights(file)) return torchTensors(file, signal);
  const { tensors } = await readSafetensorsHeader(file);
  return [...tensors.values()].map((tensor) => ({ ...tensor, path: file }));
}

interface WeightFiles {
  files: string[];
  source: string;
  weightMap: Record<string, string>;
}

async function weightFiles(directory: string): Promise<WeightFiles> {
  const isFile = directory.endsWith(".safetensors") || isTorchWeights(directory);
  const single = isFile ? directory : path.join(directory, "model.safetensors");
  const alone = (file: string): WeightFiles => ({ files: [file], source: file, weightMap: {} });
  // As in transformers, shards count only where there is no single file: `save` writes one, whatever was there; and what
  // torch.save wrote only where there are no safetensors.
  if (isFile || existsSync(single)) return alone(single);
  const index = ["model.safetensors.index.json", "pytorch_model.bin.index.json"]
    .map((name) => path.join(directory, name))
    .find(existsSync);
  const pickle = path.join(directory, "pytorch_model.bin");
  const isShards = index?.endsWith("safetensors.index.json");
  if (!isShards && existsSync(pickle)) return alone(pickle);
  if (index === undefined) {
    const whole = [directory, path.join(directory, "model_and_optim")].find(isDistributed);
    if (whole !== undefined) return alone(whole);
    await refuseOthers(directory, single);
    return alone(single);
  }
  const parsed = (await readJson(index)) as { weight_map?: unknown } | null;
  const weightMap = (parsed?.weight_map ?? {}) as Record<string, string>;
  const files = [...new Set<unknown>(Object.values(weightMap))];
  for (const file of files)
    if (typeof file !== "string" || path.basename(file) !== file || file.startsWith("."))
      throw badModelFile(index, "names of files beside it in weight_map", JSON.stringify(file));
  if (files.length === 0) throw badModelFile(index, "a weight_map with files", "none");
  return { files: files.map((file) => path.join(directory, file as string)), source: index, weightMap };
}

/** Weights under another name may be another model's. */
async function refuseOthers(directory: string, single: string): Promise<void> {
  const names = await readdir(directory);
  const other = names.find((name) => /\.(safetensors|gguf|pth|pt|bin)$/.test(name));
  if (other !== undefined)
    throw badModelFile(
      single,
      "weights of that name",
      `only "${other}": rename it, or save the model by save_pretrained`,
    );
}

/** Numbers that are compared at a time, on the event loop: a few milliseconds. */
const chunk = 1 << 16;

/** Whether two tensors hold the same numbers in the same shape; of the same dtype, the same bits. */
export async function sameNumbers(
  a: FoundTensor,
  b: FoundTensor,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (String(a.shape) !== String(b.shape)) return false;
  inOneBlock(a);
  inOneBlock(b);
  const count = a.shape.reduce((product, size) => product * size, 1);
  await using first = await openFile(a.path, "r");
  await using second = await openFile(b.path, "r");
  const read = async (file: typeof first, { byteOffset, byteLength }: FoundTensor, start: number) => {
    const width = byteLength / count;
    return readExactly(file, byteOffset + start * width, Math.min(chunk, count - start) * width);
  };
  for (let start = 0; start < count; start += chunk) {
    throwIfAborted(signal);
    const [x, y] = [await read(first, a, start), await read(second, b, start)];
    if (a.dtype === b.dtype ? !x.equals(y) : !sameValues(x, a, y, b)) return false;
  }
  return true;
}

function sameValues(x: Buffer, a: FoundTensor, y: Buffer, b: FoundTensor): boolean {
  const numbers = (bytes: Buffer, { dtype }: FoundTensor) =>
    storedNumbers(new Uint8Array(bytes).buffer as ArrayBuffer, dtype);
  const [p, q] = [numbers(x, a), numbers(y, b)];
  return p !== undefined && q !== undefined && p.length === q.length && p.every((n, i) => Object.is(n, q[i]));
}
