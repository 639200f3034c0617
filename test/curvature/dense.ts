import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { writeSafetensors } from "../../lib/files/safetensors-writer.js";
import { type Batch, Curvature, Direction, type Model } from "../../lib/models/index.js";
import type { CurvatureOperator } from "../../lib/torch/index.js";

/** A direction's numbers, one parameter after the other. */
export async function numbers(direction: Direction): Promise<Float64Array> {
  const all: number[] = [];
  for (const [index, { size }] of direction.parameters.entries()) {
    const bytes = await direction.handle.read(index, 0, 8 * size);
    all.push(...(direction.dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes)));
  }
  return Float64Array.from(all);
}

/** The direction with these numbers. */
export async function directionOf(model: Model, values: Float64Array): Promise<Direction> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "curvature-"));
  try {
    const file = path.join(folder, "direction.safetensors");
    let start = 0;
    const tensors = model.parameters.map(({ name, shape, size }) => {
      const part = values.slice(start, start + size);
      start += size;
      const read = async (offset: number, length: number) => part.buffer.slice(offset, offset + length);
      return { name, shape, dtype: "float64" as const, read };
    });
    await writeSafetensors(file, tensors);
    return await Direction.load(file, model);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** H (or its stand-in) column by column, from products with unit vectors. */
export async function denseCurvature(
  model: Model,
  batch: Batch,
  operator: CurvatureOperator = "hessian",
): Promise<Float64Array[]> {
  using curvature = new Curvature(model, batch, { operator });
  const columns: Float64Array[] = [];
  for (let i = 0; i < model.parameterCount; i++) {
    const unit = new Float64Array(model.parameterCount);
    unit[i] = 1;
    using direction = await directionOf(model, unit);
    const { product } = await curvature.product(direction);
    columns.push(await numbers(product));
    product.dispose();
  }
  return columns;
}

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, x, i) => sum + x * (b[i] as number), 0);
