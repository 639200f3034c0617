import { readdirSync } from "node:fs";
import path from "node:path";
import { readSafetensorsHeader, readStoredTensor, storedNumbers } from "../../../lib/files/index.js";
import { type Batch, Direction, loadBatch, loadModel, type Model } from "../../../lib/models/index.js";

/** Programs with what PyTorch computes of them: export.py. */
export const folder = path.join(import.meta.dirname, "fixtures");

export const programs: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith(".pt2"))
  .map((file) => file.slice(0, -".pt2".length))
  .sort();

export const place = (name: string): string => path.join(folder, `${name}.pt2`);

/** What a folder's file expects: numbers by name, and the file's metadata. */
export async function expectedOf(name: string, from = folder) {
  const file = path.join(from, `${name}.expected.safetensors`);
  const { tensors, metadata } = await readSafetensorsHeader(file);
  const numbers = new Map<string, Float32Array | Float64Array>();
  for (const tensor of tensors.values())
    numbers.set(
      tensor.name,
      storedNumbers(await readStoredTensor(file, tensor), tensor.dtype) as Float32Array,
    );
  return { numbers, reduction: metadata.reduction as "loss" | "sum-and-weight" };
}

export const one = (numbers: Map<string, Float32Array | Float64Array>, name: string): number =>
  numbers.get(name)?.[0] ?? Number.NaN;

/** A program with its batch. */
export async function opened(name: string, options: Parameters<typeof loadModel>[1] = {}, from = folder) {
  const { numbers, reduction } = await expectedOf(name, from);
  const dtype = name.includes("float64") ? "float64" : "float32";
  const model = await loadModel(path.join(from, `${name}.pt2`), { reduction, dtype, ...options });
  const batch: Batch = await loadBatch(path.join(from, `${name}.safetensors`), { named: true });
  return { model, batch, numbers };
}

const arrayOf = (model: Model) => (model.dtype === "float64" ? Float64Array : Float32Array);

/** sin 0, sin 1, … in each trainable parameter: the vector of the expected products. */
export function sines(model: Model): Direction {
  const type = arrayOf(model);
  const parts = model.parameters
    .filter(({ trainable }) => trainable)
    .map(({ name, size }) => [name, new type(size).map((_, i) => Math.sin(i))]);
  return Direction.from(model, Object.fromEntries(parts));
}

/** ‖received − expected‖ ÷ ‖expected‖ over trainable parameters, and whether all bits are the same. */
export async function distance(
  model: Model,
  direction: Direction,
  expected: (parameter: string) => ArrayLike<number> | undefined,
): Promise<{ relative: number; same: boolean }> {
  const type = arrayOf(model);
  let [difference, norm, same] = [0, 0, true];
  for (const [index, { name, size, trainable }] of model.parameters.entries()) {
    const wanted = expected(name);
    if (!trainable || !wanted) continue;
    const received = new type(await direction.handle.read(index, 0, size * type.BYTES_PER_ELEMENT));
    for (let i = 0; i < size; i++) {
      const [a, b] = [received[i] as number, wanted[i] as number];
      if (a !== b) same = false;
      difference += (a - b) ** 2;
      norm += b * b;
    }
  }
  return { relative: norm > 0 ? Math.sqrt(difference / norm) : Math.sqrt(difference), same };
}
