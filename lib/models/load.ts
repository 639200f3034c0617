import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { checkString } from "../checks.js";
import { CriticalSharpnessError } from "../errors.js";
import { native } from "../native/load.js";
import type { FileTensor, NativeModel } from "../native/surface.js";
import { configureModel } from "./configuration.js";
import { checkModelOptions, type ModelOptions } from "./create.js";
import type { Checkpoint } from "./families/family.js";
import { Model } from "./model.js";
import { readSafetensorsHeader, type StoredTensor } from "./safetensors.js";

interface FoundTensor extends StoredTensor {
  path: string;
}

/**
 * Opens a Hugging Face directory: `config.json` and `model.safetensors`, or shards with `model.safetensors.index.json`.
 * The other formats of PyTorch (`pytorch_model.bin`) are refused: they run code. Weights of the model's own precision are memory-mapped, copy-on-write; others are converted. A mapped file must not be cut
 * short or overwritten while the model lives: the system ends a process that reads a page which is gone. Replacing it by
 * another of its name is safe, and is what `save` does.
 *
 * @throws CriticalSharpnessError `ERR_MODEL_FILE`, `ERR_SAFETENSORS`, `ERR_FILE` naming file and tensor; `ERR_DEVICE`.
 */
export async function loadModel(directory: string, options: ModelOptions = {}): Promise<Model> {
  checkString(directory, "directory");
  const { dtype, parameterDtype, device } = checkModelOptions(options);
  const configured = configureModel(await readJson(path.join(directory, "config.json")));
  const tensors = await readTensors(directory);
  const handle = native().createModel(configured.description, dtype, parameterDtype, device);
  try {
    await handle.load(places(handle, tensors, configured.checkpoint));
  } catch (error) {
    handle.dispose();
    throw error;
  }
  return new Model(handle, configured);
}

async function readJson(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new CriticalSharpnessError(
      "ERR_FILE",
      `Expected a readable file for "${file}" but received: ${(error as Error).message}`,
      { cause: error },
    );
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw bad(file, "JSON", (error as Error).message);
  }
}

interface FoundTensors {
  tensors: Map<string, FoundTensor>;
  /** The one file of weights, or the index of several. */
  source: string;
}

async function readTensors(directory: string): Promise<FoundTensors> {
  const { files, source } = await weightFiles(directory);
  const found = new Map<string, FoundTensor>();
  for (const file of files) {
    const { tensors } = await readSafetensorsHeader(file);
    for (const tensor of tensors.values()) {
      const other = found.get(tensor.name);
      if (other) throw bad(file, `a tensor "${tensor.name}" once`, `it again (it is in "${other.path}" too)`);
      found.set(tensor.name, { ...tensor, path: file });
    }
  }
  return { tensors: found, source };
}

async function weightFiles(directory: string): Promise<{ files: string[]; source: string }> {
  const single = path.join(directory, "model.safetensors");
  // As in transformers, shards count only where there is no single file: `save` writes one, whatever was there.
  if (existsSync(single)) return { files: [single], source: single };
  const index = path.join(directory, "model.safetensors.index.json");
  const parsed = (await readJson(index).catch((error: CriticalSharpnessError) => {
    if (error.code === "ERR_FILE") return undefined;
    throw error;
  })) as { weight_map?: unknown } | null | undefined;
  if (parsed === undefined) {
    refusePickles(directory);
    return { files: [single], source: single };
  }
  const files = new Set(Object.values((parsed?.weight_map ?? {}) as Record<string, unknown>));
  for (const file of files)
    if (typeof file !== "string" || path.basename(file) !== file || file.startsWith("."))
      throw bad(index, "names of files beside it in weight_map", JSON.stringify(file));
  if (files.size === 0) throw bad(index, "a weight_map with files", "none");
  return { files: [...files].map((file) => path.join(directory, file as string)), source: index };
}

/** PyTorch's pickled weights run code when they are opened. */
function refusePickles(directory: string): void {
  const pickle = ["pytorch_model.bin", "pytorch_model.bin.index.json"].find((name) =>
    existsSync(path.join(directory, name)),
  );
  if (pickle === undefined) return;
  const convert = `AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)`;
  throw bad(
    path.join(directory, "model.safetensors"),
    "weights in safetensors",
    `only "${pickle}". Python's transformers converts it: ${convert}`,
  );
}

/** Where each of the model's parameters lies, by its name, another one, or without the prefix of models with a head. */
function places(
  handle: NativeModel,
  { tensors, source }: FoundTensors,
  checkpoint?: Checkpoint,
): FileTensor[] {
  const { prefix = "", aliases = {}, buffers } = checkpoint ?? {};
  const used = new Set<string>();
  const found = handle.parameters.map(({ name, shape }): FileTensor => {
    const bare = name.startsWith(prefix) ? name.slice(prefix.length) : name;
    const tensor = [name, aliases[name], bare]
      .map((n) => tensors.get(n as string))
      .find((t) => t !== undefined);
    if (!tensor) throw bad(source, `a tensor "${name}"`, "none of that name");
    used.add(tensor.name);
    if (tensor.dtype === "int64")
      throw bad(tensor.path, `floating-point numbers in tensor "${tensor.name}"`, tensor.dtype);
    if (String(tensor.shape) !== String(shape))
      throw bad(
        tensor.path,
        `shape [${shape}] of tensor "${tensor.name}", as config.json says,`,
        `[${tensor.shape}]`,
      );
    return { path: tensor.path, byteOffset: tensor.byteOffset, dtype: tensor.dtype };
  });
  // Old checkpoints carry masks and frequencies, and some a copy of the tied embedding.
  const copies = ["lm_head.weight", ...Object.keys(aliases)];
  const surplus = [...tensors.values()].find(
    ({ name }) => !used.has(name) && !buffers?.test(`.${name}`) && !copies.includes(name),
  );
  if (surplus !== undefined)
    throw bad(surplus.path, "only tensors that the model of config.json has", `"${surplus.name}"`);
  return found;
}

function bad(file: string, what: string, received: string): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_MODEL_FILE",
    `Expected ${what} for "${file}" but received ${received}`,
  );
}
