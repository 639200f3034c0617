import { readFileSync } from "node:fs";
import path from "node:path";
import { type Batch, Direction, loadBatches, loadModel, type Model } from "../../lib/models/index.js";
import {
  floatingDtype,
  readSafetensorsHeader,
  readStoredTensor,
  type SafetensorsHeader,
} from "../../lib/models/safetensors.js";
import { native } from "../../lib/native/load.js";
import type { ComputeDtype } from "../../lib/native/surface.js";

/** A line that PyTorch scanned in float64: the last batch's loss along the vector of this name. */
export interface GoldenLine {
  criticalLearningRate: number;
  slope: number;
  /** η·dL/dη at the crossing. */
  rise: number;
  points: { learningRate: number; loss: number }[];
}

export interface GoldenCase {
  losses: number[];
  lines: { gradient: GoldenLine; adamw: GoldenLine };
}

interface Golden {
  optimizers: {
    sgd: { momentum: number; weightDecay: number };
    adamw: { betas: [number, number]; epsilon: number; weightDecay: number };
  };
  cases: Record<string, GoldenCase>;
}

const golden: Golden = JSON.parse(readFileSync(path.join(import.meta.dirname, "golden.json"), "utf8"));
export const { optimizers } = golden;
export const names = Object.keys(golden.cases);

/** A golden case with its model and batches open. */
export interface OpenCase extends GoldenCase {
  name: string;
  model: Model;
  batches: Batch[];
  vectors: SafetensorsHeader;
}

export async function openCase(name: string, dtype: ComputeDtype): Promise<OpenCase> {
  const folder = path.join(import.meta.dirname, "cases", name);
  return {
    ...(golden.cases[name] as GoldenCase),
    name,
    model: await loadModel(folder, { dtype }),
    batches: await loadBatches(path.join(folder, "batches.safetensors")),
    vectors: await readSafetensorsHeader(path.join(folder, "vectors.safetensors")),
  };
}

/** The last batch, whose lines were scanned, with what lies along them. */
export function lines({ batches, lines }: OpenCase) {
  const batch = batches.at(-1) as Batch;
  return [
    { along: "gradient", vector: `gradient.${batches.length - 1}`, batch, line: lines.gradient },
    { along: "adamw", vector: "adamw", batch, line: lines.adamw },
  ];
}

/** A golden vector, in the model's precision. */
export async function goldenVector({ model, vectors }: OpenCase, vector: string): Promise<Direction> {
  const places = model.parameters.map(({ name }) => {
    const tensor = stored(vectors, `${vector}/${name}`);
    return { path: vectors.path, byteOffset: tensor.byteOffset, dtype: floatingDtype(tensor) ?? "float64" };
  });
  return Direction.of(model, await native().loadVector(model.handle, places));
}

/** ‖ours − golden‖ / ‖golden‖, in float64. */
export async function distance({ vectors }: OpenCase, vector: string, ours: Direction): Promise<number> {
  let difference = 0;
  let norm = 0;
  for (const [index, { name, size }] of ours.parameters.entries()) {
    const bytes = await ours.handle.read(index, 0, 8 * size);
    const values = ours.dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes);
    const expected = new Float64Array(
      await readStoredTensor(vectors.path, stored(vectors, `${vector}/${name}`)),
    );
    for (const [i, value] of expected.entries()) {
      difference += ((values[i] as number) - value) ** 2;
      norm += value ** 2;
    }
  }
  return Math.sqrt(difference / norm);
}

/** |received/expected − 1| */
export const relative = (received: number, expected: number): number => Math.abs(received / expected - 1);

function stored({ tensors, path: file }: SafetensorsHeader, name: string) {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`Expected a tensor "${name}" for "${file}" but received none`);
  return tensor;
}
