import { readFileSync } from "node:fs";
import path from "node:path";
import {
  type Batch,
  Direction,
  type ExpertChanges,
  loadBatch,
  loadModel,
  type Model,
} from "../../../lib/models/index.js";
import type { ComputeDtype } from "../../../lib/torch/index.js";
import { native } from "../../../lib/torch/load.js";

/** What transformers says of a case, in float64. */
interface FamilyCase {
  loss: number;
  /** ∇L·v */
  slope: number;
  /** Of θ − step·∇L. */
  movedLoss: number;
  /** Of sequences of several lengths, padded on the left or on the right or packed. */
  raggedLoss: number;
  /** Of mixtures: what becomes of the tokens' experts at θ − far·∇L. */
  expertChanges?: ExpertChanges;
}

const read = (...names: string[]) => readFileSync(path.join(import.meta.dirname, ...names), "utf8");
const golden: { step: number; far: number; cases: Record<string, FamilyCase> } = JSON.parse(
  read("cases.json"),
);
export const { step, far } = golden;
export const names = Object.keys(golden.cases);
export const folderOf = (name: string) => path.join(import.meta.dirname, "cases", name);
export const configOf = (name: string): Record<string, unknown> =>
  JSON.parse(read("cases", name, "config.json"));

export interface OpenFamilyCase extends FamilyCase {
  model: Model;
  batch: Batch;
  vector(name: "vector" | "gradient" | "product"): Promise<Direction>;
}

export async function openCase(name: string, dtype: ComputeDtype): Promise<OpenFamilyCase> {
  const folder = folderOf(name);
  const model = await loadModel(folder, { dtype });
  return {
    ...(golden.cases[name] as FamilyCase),
    model,
    batch: await loadBatch(path.join(folder, "batch.safetensors")),
    vector: (vector) => Direction.load(path.join(folder, `${vector}.safetensors`), model),
  };
}

/** ‖a − b‖ / ‖b‖ */
export async function distance(a: Direction, b: Direction): Promise<number> {
  const difference = await native().combine([a.handle, b.handle], [1, -1]);
  return (await difference.norm()) / (await b.norm());
}
