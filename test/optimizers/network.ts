import { Batch, createModel, Direction, type Model } from "../../lib/models/index.js";
import { mlp, numbers } from "../models/files.js";

export const inputs = Float64Array.from({ length: 20 }, (_, i) => Math.sin(i));
export const targets = Float64Array.from({ length: 15 }, (_, i) => Math.cos(2 * i));

/** A perceptron of 51 weights and a batch for it. */
export async function network(dtype: "float32" | "float64" = "float32", seed = 1) {
  return {
    model: await createModel(mlp, { seed, dtype }),
    batch: Batch.examples({ inputs, targets, shape: [5] }),
  };
}

/** Different batches for it. */
export const batchOf = (seed: number): Batch =>
  Batch.examples({ inputs: inputs.map((x) => Math.sin(seed + 3 * x)), targets, shape: [5] });

/** All numbers of a direction, or all weights of a model. */
export async function values(of: Direction | Model): Promise<number[]> {
  const dtype = of instanceof Direction ? of.dtype : of.handle.vectorDtype;
  const all: number[] = [];
  for (const [index, { size }] of of.parameters.entries())
    all.push(...numbers(await of.handle.read(index, 0, 8 * size), dtype));
  return all;
}

/** The largest |a − b|, over the largest |b|. */
export function apart(a: readonly number[], b: readonly number[]): number {
  const most = (list: readonly number[]) => Math.max(...list.map(Math.abs));
  return most(a.map((x, i) => x - (b[i] as number))) / most(b);
}
