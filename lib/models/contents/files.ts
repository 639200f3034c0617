import path from "node:path";
import { openTokenFile } from "../../data/index.js";
import { CriticalSharpnessError } from "../../errors.js";
import {
  foreignBytes,
  foreignFile,
  npyMagic,
  openFile,
  readExactly,
  readSafetensorsHeader,
  readTorchFile,
  rowMajorStrides,
  type StoredArray,
  storedArray,
  unreadable,
} from "../../files/index.js";
import { isProgramFile } from "../programs/load.js";
import { readProgram } from "../programs/program.js";
import { findTensors } from "../weight-files.js";
import { type Contents, emptyContents, type ListOptions, list } from "./contents.js";

/** What can be told apart. */
export const kinds = "a checkpoint, a model, an adapter, a program or a token file";
/** What a training run keeps for itself. */
export const unopened: readonly (readonly [name: RegExp, reason: string])[] = [
  [/^training_args\.bin$/, "pickled arguments of the Trainer, never opened"],
  [/^(rng_state(_\d+)?\.pth|random_states_\d+\.pkl)$/, "states of random generators, never opened"],
];

/** What one file holds. @throws as `inspect` */
export async function inspectFile(file: string, options: ListOptions): Promise<Contents> {
  const name = path.basename(file);
  const start = await startOf(file);
  const isZip = start.toString("latin1", 0, 2) === "PK";
  const reason = unopened.find(([pattern]) => pattern.test(name))?.[1];
  if (reason !== undefined) throw refusal(file, reason);
  if (name === "model.safetensors.index.json") return inspectShards(path.dirname(file), file, options);
  if (name.endsWith(".safetensors")) return inspectSafetensors(file, options);
  if (name.endsWith(".distcp"))
    throw refusal(
      file,
      `a part of a checkpoint of torch.distributed: take its folder, "${path.dirname(file)}"`,
    );
  if (isProgramFile(file)) return inspectProgram(file, options);
  if (isZip || start[0] === 0x80 || /\.(pt|pth|ckpt)$/.test(name)) {
    const value = await readTorchFile(file, options);
    return list(emptyContents(file, "a file of torch.save"), [["", value]], options);
  }
  if (/\.(bin|npy)$/.test(name) || start.subarray(0, npyMagic.length).equals(npyMagic))
    return inspectTokens(file);
  throw refusal(file, foreignFile(start) ?? "another kind of file");
}

const refusal = (file: string, received: string) =>
  new CriticalSharpnessError("ERR_FILE", `Expected ${kinds} for "${file}" but received ${received}`);

async function startOf(file: string): Promise<Buffer> {
  try {
    await using handle = await openFile(file, "r");
    return await readExactly(handle, 0, foreignBytes);
  } catch (error) {
    throw unreadable(kinds, file, error);
  }
}

async function inspectSafetensors(file: string, options: ListOptions): Promise<Contents> {
  const { tensors, metadata } = await readSafetensorsHeader(file);
  const entries = [...tensors.values()].map((tensor): [string, StoredArray] => [
    tensor.name,
    storedArray(file, tensor),
  ]);
  const facts = Object.keys(metadata).length > 0 ? { metadata } : {};
  return list(emptyContents(file, "safetensors", facts), entries, options);
}

/** The safetensors of a model's folder, in one file or several. */
export async function inspectShards(
  directory: string,
  shown: string,
  options: ListOptions,
): Promise<Contents> {
  const { tensors } = await findTensors(directory, options.signal);
  const entries = [...tensors.values()].map((tensor): [string, StoredArray] => [
    tensor.name,
    storedArray(tensor.path, tensor),
  ]);
  const files = [...new Set([...tensors.values()].map((tensor) => path.basename(tensor.path)))];
  const facts = files.length > 1 ? { files } : {};
  return list(emptyContents(shown, "safetensors", facts), entries, options);
}

async function inspectProgram(file: string, options: ListOptions): Promise<Contents> {
  const read = (reduction: "loss" | "sum-and-weight") =>
    readProgram(file, { reduction, dropoutSeed: null }, options.signal);
  // Of a program with two outputs the second reading holds, of any other the first one's reason.
  const { description, weights, names, buffers } = await read("loss").catch((error: unknown) =>
    read("sum-and-weight").catch(() => {
      throw error;
    }),
  );
  const entries = description.parameters.flatMap(({ shape }, i): [string, StoredArray][] => {
    const weight = weights[i];
    if (!weight) return [];
    const place = { strides: rowMajorStrides(shape), start: shape.map(() => 0), shape, ...weight };
    return (names[i] ?? []).map((name) => [name, { dtype: weight.dtype, shape, pieces: [place] }]);
  });
  for (const { name, stored } of buffers) {
    const tensor = description.stored[stored];
    if (tensor)
      entries.push([name, { ...tensor, pieces: [{ ...tensor, start: tensor.shape.map(() => 0) }] }]);
  }
  const inputs = description.inputs.map(({ name, dtype, sizes }) => ({
    name,
    dtype,
    shape: sizes.map((size) => (typeof size === "number" ? size : null)),
  }));
  const facts = { reduction: description.reduction, inputs };
  return list(emptyContents(file, "a program of torch.export", facts), entries, options);
}

async function inspectTokens(file: string): Promise<Contents> {
  await using tokens = await openTokenFile(file);
  const { dtype, isAssumed, largest } = tokens.stored?.[0] ?? {};
  const facts = { tokens: tokens.length, dtype, dtypeIsAssumed: isAssumed, largestSeen: largest };
  return emptyContents(file, "tokens", facts);
}
