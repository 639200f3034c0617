import * as z from "zod";
import { count, instance, type OptionsOf, readOptions, signalSchema } from "../options/index.js";
import { Direction } from "./direction.js";

const passOptions = {
  /** Stops the pass at the next micro-batch or layer. */
  signal: signalSchema.optional(),
  /** Rows or sequences at a time: bounds the memory of activations. Default: all at once. */
  microBatch: count.optional(),
  /** Computes in float32 where the model's arithmetic is bfloat16. Default: as the model does. */
  dtype: z.enum(["float32"]).optional(),
};

const lossShape = {
  ...passOptions,
  /** The loss at θ − η·Δ in place of θ. */
  perturbation: z
    .strictObject({
      direction: instance<Direction>("a Direction", (value) => value instanceof Direction),
      /** η of θ − η·Δ. */
      learningRate: z.number(),
      /** How θ − η·Δ comes about; the loss is the same. Default `view`. */
      mode: z.enum(["view", "in-place"]).default("view"),
    })
    .optional(),
};

export const lossSchema = z.strictObject(lossShape);
/** Of a pass that a perturbation is asked of. */
export const perturbedSchema = z.strictObject({
  ...passOptions,
  perturbation: lossShape.perturbation.unwrap(),
});

const gradientShape = {
  ...passOptions,
  /**
   * Keep each layer's input alone and compute its activations again on the way back (activation checkpointing, Chen et al.
   * 2016), for a third more time. The gradient is the same, bit for bit. Of language models. Default false.
   */
  recompute: z.boolean().default(false),
};

const gradientOptions = z.strictObject(gradientShape);

export type LossOptions = OptionsOf<typeof lossShape>;
export type PassOptions = Omit<LossOptions, "perturbation">;
export type Perturbation = NonNullable<LossOptions["perturbation"]>;
export type GradientOptions = OptionsOf<typeof gradientShape>;

/** What a pass takes, as native code has it. */
export function nativePass({ microBatch = 0, dtype }: PassOptions) {
  return { microBatch, float32: dtype === "float32" };
}

/** @internal What a pass that gives a gradient takes, as native code has it. */
export function readGradientPass(options: unknown) {
  const { signal, recompute, ...pass } = readOptions(gradientOptions, options);
  return { signal, recompute, ...nativePass(pass) };
}
