import * as z from "zod";
import { hessianKeys } from "../../curvature/index.js";
import { expected } from "../../errors.js";
import {
  type Batch,
  directionSchema,
  type Model,
  modelSchema,
  type ParameterSelection,
  select,
} from "../../models/index.js";
import type { OptimizerChoice } from "../../optimizers/index.js";
import {
  callback,
  count,
  instance,
  name,
  type OptionsOf,
  readOptions,
  signalSchema,
} from "../../options/index.js";
import { type MeasureOptions, measureOf, measureOptions } from "../../sharpness/index.js";
import type { FrozenEvent } from "./frozen-summary.js";

/**
 * Batches by their place, which counts from 0: an array, or a function that gives each when it is its turn. A batch of a
 * function belongs to it and must live until the next call.
 */
export type BatchSource = readonly Batch[] | ((index: number) => Batch | Promise<Batch>);

export const batchSourceSchema = z.custom<BatchSource>(
  (value) => typeof value === "function" || Array.isArray(value),
  "an array of batches or a function",
);
/** What makes Δ; the optimizer itself checks its settings. */
export const optimizerChoice = instance<OptimizerChoice>("an object", (value) => !Array.isArray(value));

const frozenShape = {
  model: modelSchema,
  /** The first `accumulate` are for the moments, the `measure` after them are measured. */
  batches: batchSourceSchema,
  /** What makes Δ. It is made new, its state begins at zero. Not needed with a state of PyTorch's, which says what it is of. */
  optimizer: optimizerChoice.optional(),
  /** In place of an optimizer: Δ itself, the same for every batch. */
  direction: directionSchema.optional(),
  /** N: batches whose gradients go into the optimizer's state and nowhere else. Needed with an optimizer. */
  accumulate: z.int().min(0).optional(),
  /**
   * A file of `optimizer.save`, or what an optimizer of PyTorch's has left (see `loadOptimizer`): its state is taken in place of the
   * N gradients. The measured batches are the same.
   */
  optimizerState: name.optional(),
  /** M: batches that are measured. */
  measure: count,
  /**
   * Whether γθ of the optimizer's weight decay is in Δ. Default true: Δ is what the optimizer's step subtracts, as in
   * Kalra et al. 2026, and λc is compared with 2/η for any γ.
   */
  weightDecay: z.boolean().default(true),
  /** Parts of the model, by name: λc along Δ restricted to each is measured too. */
  parts: z.record(z.string(), z.custom<ParameterSelection>()).default({}),
  /** Measure λdir too. Default false. */
  directional: z.boolean().default(false),
  /** Measure λmax(P⁻¹H) of each batch too, with P of the optimizer (λmax(H) where P = 1, and with a given direction). */
  hessian: z.strictObject(hessianKeys).optional(),
  /** Gradients with activation recomputation, as `model.gradient` has it. */
  recompute: z.boolean().default(false),
  signal: signalSchema.optional(),
  /** Called after each batch, in order. What it throws ends the measurement. */
  onProgress: callback<(event: FrozenEvent) => void>().default(() => () => {}),
};

const frozenSchema = z.strictObject({ ...measureOptions, ...frozenShape });

export interface FrozenOptions extends MeasureOptions, OptionsOf<typeof frozenShape> {}
export type CheckedFrozenOptions = ReturnType<typeof checkFrozenOptions>;

/** The options with what is known before the first gradient, not after N of them. */
export function checkFrozenOptions(options: unknown) {
  const given = readOptions(frozenSchema, options);
  const { model, optimizer, direction, optimizerState, measure } = given;
  const rule = optimizer ?? optimizerState;
  if ((rule === undefined) === (direction === undefined))
    throw expected("an optimizer or a direction, one of them,", "options", rule && "both");
  const isNeeded = optimizer !== undefined && optimizerState === undefined;
  const accumulate = isNeeded
    ? readOptions(count, given.accumulate ?? null, "options.accumulate")
    : (given.accumulate ?? 0);
  if (given.hessian) checkDifferentiable(model);
  return {
    ...given,
    accumulate,
    batchAt: batchesOf(given.batches, "options.batches", accumulate + measure),
    parts: checkParts(given.parts, model),
    search: measureOf(given),
  };
}

/** A function that gives the batch of each place. */
export function batchesOf(
  batches: BatchSource,
  subject: string,
  needed: number,
): (index: number) => Batch | Promise<Batch> {
  if (typeof batches === "function") return batches;
  if (batches.length < needed) throw expected(`at least ${needed} batches`, subject, batches.length, "range");
  return (index) => batches[index] as Batch;
}

function checkParts(
  parts: Record<string, ParameterSelection>,
  model: Model,
): [name: string, selection: ParameterSelection][] {
  return Object.entries(parts).map(([name, selection]) => {
    const subject = `options.parts.${name}`;
    if (!select(model.parameters, selection, subject).includes(true))
      throw expected("a choice of at least one parameter", subject, "none", "range");
    return [name, selection];
  });
}

function checkDifferentiable(model: Model): void {
  for (const key of ["dtype", "parameterDtype"] as const)
    if (model[key] === "bfloat16")
      throw expected(
        '"float32" or "float64", as hessian takes second derivatives,',
        `the model's ${key}`,
        model[key],
        "range",
      );
}
