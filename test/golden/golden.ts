import { readFileSync } from "node:fs";
import path from "node:path";
import {
  floatingDtype,
  readSafetensorsHeader,
  readStoredTensor,
  type SafetensorsHeader,
} from "../../lib/files/safetensors.js";
import { type Batch, Direction, loadBatches, loadModel, type Model } from "../../lib/models/index.js";
import type { ComputeDtype } from "../../lib/torch/index.js";
import { native } from "../../lib/torch/load.js";

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

/** A vector's numbers, parameter after parameter, in float64. */
async function numbersOf(ours: Direction): Promise<number[]> {
  const numbers: number[] = [];
  for (const [index, { size }] of ours.parameters.entries()) {
    const bytes = await ours.handle.read(index, 0, 8 * size);
    for (const x of ours.dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes))
      numbers.push(x);
  }
  return numbers;
}

async function goldenNumbers({ vectors, model }: OpenCase, vector: string): Promise<number[]> {
  const numbers: number[] = [];
  for (const { name } of model.parameters) {
    const bytes = await readStoredTensor(vectors.path, stored(vectors, `${vector}/${name}`));
    for (const x of new Float64Array(bytes)) numbers.push(x);
  }
  return numbers;
}

const norm = (x: readonly number[]) => Math.hypot(...x);

/** ‖ours − golden‖ / ‖golden‖, in float64. */
export async function distance(open: OpenCase, vector: string, ours: Direction): Promise<number> {
  const [received, expected] = [await numbersOf(ours), await goldenNumbers(open, vector)];
  return norm(expected.map((x, i) => (received[i] as number) - x)) / norm(expected);
}

/**
 * The distance of AdamW's Δ = P⁻¹m + γθ from the golden one where gradients differ by rounding. An entry whose true gradient is
 * zero, such as a key's bias, which softmax does not see, is a quotient of rounding: m/P, both made of what is left over.
 * `all`: ‖P(ours − golden)‖/‖P·golden‖, where such an entry weighs what its momentum does. `resolved`: the plain distance over
 * the entries with √v̂ ≥ ε.
 */
export async function adamwDistance(open: OpenCase, vector: string, ours: Direction) {
  const received = await numbersOf(ours);
  const expected = await goldenNumbers(open, vector);
  const diagonal = await goldenNumbers(open, "preconditioner");
  const difference = expected.map((x, i) => (received[i] as number) - x);
  const scaled = (x: readonly number[]) => x.map((entry, i) => entry * (diagonal[i] as number));
  const { betas, epsilon } = optimizers.adamw;
  // P = (1 − β₁ᵗ)(√v̂ + ε)
  const least = (1 - betas[0] ** open.batches.length) * 2 * epsilon;
  const resolved = (x: readonly number[]) => x.filter((_, i) => (diagonal[i] as number) >= least);
  return {
    all: norm(scaled(difference)) / norm(scaled(expected)),
    resolved: norm(resolved(difference)) / norm(resolved(expected)),
  };
}

/** |received/expected − 1| */
export const relative = (received: number, expected: number): number => Math.abs(received / expected - 1);

function stored({ tensors, path: file }: SafetensorsHeader, name: string) {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`Expected a tensor "${name}" for "${file}" but received none`);
  return tensor;
}
