import { writeFileSync } from "node:fs";
import { expect } from "vitest";
import { readSafetensorsHeader, readStoredTensor } from "../../lib/files/safetensors.js";
import { createModel, type Model, type ModelConfigInput } from "../../lib/models/index.js";
import type { ComputeDtype } from "../../lib/torch/index.js";

export const gpt = {
  model_type: "gpt2",
  vocab_size: 11,
  n_positions: 6,
  n_embd: 8,
  n_layer: 2,
  n_head: 2,
} as const satisfies ModelConfigInput;
export const mlp = {
  model_type: "mlp",
  layer_sizes: [4, 6, 3],
  activation: "tanh",
  loss: "mse",
} as const satisfies ModelConfigInput;

/** Matches what a call says to an argument of the wrong type or out of range. */
export const badArgument = expect.objectContaining({
  code: expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/),
  message: expect.stringMatching(/^Expected .+ for .+ but received /),
});

/** A tensor as it stands in a safetensors file. */
export interface RawTensor {
  dtype: string;
  shape: readonly number[];
  bytes: Uint8Array;
}

/** A safetensors file, sound or not: whatever stands in the header, and bytes after it. */
export function safetensors(header: unknown, data: Uint8Array = new Uint8Array(), length?: bigint): Buffer {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([prefix, json, data]);
}

/** A sound safetensors file with these tensors. */
export function pack(tensors: Record<string, RawTensor>, metadata?: Record<string, string>): Buffer {
  let end = 0;
  const header: Record<string, unknown> = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
      const begin = end;
      end += bytes.length;
      return [name, { dtype, shape, data_offsets: [begin, end] }];
    }),
  );
  if (metadata) header.__metadata__ = metadata;
  return safetensors(header, Buffer.concat(Object.values(tensors).map((t) => t.bytes)));
}

export const float32 = (shape: readonly number[], values: ArrayLike<number>): RawTensor =>
  raw("F32", shape, Float32Array.from(values));
export const float64 = (shape: readonly number[], values: ArrayLike<number>): RawTensor =>
  raw("F64", shape, Float64Array.from(values));
export const int64 = (shape: readonly number[], values: readonly number[]): RawTensor =>
  raw("I64", shape, BigInt64Array.from(values, BigInt));
export const raw = (dtype: string, shape: readonly number[], { buffer }: ArrayBufferView): RawTensor => ({
  dtype,
  shape,
  bytes: new Uint8Array(buffer as ArrayBuffer),
});

/** The tensors of a file that `Model.save`, `Direction.save` or `Optimizer.save` wrote. */
export async function unpack(file: string): Promise<Record<string, RawTensor>> {
  const names: Record<string, string> = { float32: "F32", float64: "F64", int64: "I64" };
  const tensors: Record<string, RawTensor> = {};
  for (const tensor of (await readSafetensorsHeader(file)).tensors.values())
    tensors[tensor.name] = {
      dtype: names[tensor.dtype] as string,
      shape: tensor.shape,
      bytes: new Uint8Array(await readStoredTensor(file, tensor)),
    };
  return tensors;
}

/** Changes the tensors of a file. */
export async function rewrite(
  file: string,
  change: (tensors: Record<string, RawTensor>) => Record<string, RawTensor>,
): Promise<void> {
  writeFileSync(file, pack(change(await unpack(file))));
}

/** A model with weights that are all different from 0 and from each other. */
export async function randomModel(
  config: ModelConfigInput = gpt,
  dtype: ComputeDtype = "float32",
  seed = 1,
): Promise<Model> {
  return createModel(config, { dtype, seed });
}

/** All of a model's weights, in the order of its parameters. */
export async function weights(model: Model): Promise<number[]> {
  const all: number[] = [];
  for (const [index, { size }] of model.parameters.entries())
    all.push(...numbers(await model.handle.read(index, 0, 8 * size), model.handle.vectorDtype));
  return all;
}

export const numbers = (bytes: ArrayBuffer, dtype: "float32" | "float64"): number[] =>
  Array.from(dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes));
