import { expected } from "../errors.js";
import type { Batch } from "./batch.js";
import type { Direction } from "./direction.js";
import type { Model } from "./model.js";

// By their members, not their class: what measures a model needs nothing of libtorch.

export function checkModel(value: unknown): Model {
  return duck<Model>(value, "model", "a Model", ["lossWithVersion", "gradient", "parameters"]);
}

export function checkBatch(value: unknown, subject: string): Batch {
  return duck<Batch>(value, subject, "a Batch", ["kind", "shape", "count"]);
}

export function checkDirection(value: unknown, subject: string): Direction {
  return duck<Direction>(value, subject, "a Direction", ["dot", "norm", "scale"]);
}

function duck<T>(value: unknown, subject: string, what: string, members: readonly string[]): T {
  const fits = typeof value === "object" && value !== null && members.every((m) => m in value);
  if (!fits) throw expected(what, subject, value);
  return value as T;
}
