import type * as z from "zod";
import { instance, readOptions } from "../options/index.js";
import type { Batch } from "./batch.js";
import type { Direction } from "./direction.js";
import type { Gradient, Model } from "./model.js";

// By their members, not their class: what measures a model needs nothing of libtorch.
export const modelSchema = having<Model>("a Model", ["lossWithVersion", "gradient", "parameters"]);
export const batchSchema = having<Batch>("a Batch", ["kind", "shape", "count"]);
export const directionSchema = having<Direction>("a Direction", ["dot", "norm", "scale"]);

/** A gradient with what is known of it, or its vector alone. */
export const gradientSchema = instance<Gradient | Direction>(
  "a Gradient or a Direction",
  (value) => "gradient" in value || directionSchema.safeParse(value).success,
);

function having<T extends object>(what: string, members: readonly (keyof T & string)[]): z.ZodType<T, T> {
  return instance<T>(what, (value) => members.every((member) => member in value));
}

export const checkBatch = (value: unknown, subject: string): Batch =>
  readOptions(batchSchema, value ?? null, subject);
export const checkDirection = (value: unknown, subject: string): Direction =>
  readOptions(directionSchema, value ?? null, subject);
