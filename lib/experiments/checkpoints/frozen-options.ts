import { expected } from "../../errors.js";
import {
  type Batch,
  checkDirection,
  checkModel,
  type Direction,
  type Model,
  type ParameterSelection,
  select,
} from "../../models/index.js";

import type { OptimizerChoice } from "../../optimizers/index.js";

import {
  checkBoolean,
  checkCallback,
  checkNames,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
  or,
} from "../../options/index.js";

import { checkMeasureOptions, type MeasureOptions, measureOptionNames } from "../../sharpness/index.js";
import type { FrozenEvent } from "./frozen-sharpness.js";

/**
 * Batches by their place, which counts from 0: an array, or a function that gives each when it is its turn. A batch of a
 * function belongs to it and must live until the next call.
 */
export type BatchSource = readonly Batch[] | ((index: number) => Batch | Promise<Batch>);

export interface FrozenOptions extends MeasureOptions {
  model: Model;
  /** The first `accumulate` are for the moments, the `measure` after them are measured. */
  batches: BatchSource;
  /** What makes Δ. It is made new, its state begins at zero. */
  optimizer?: OptimizerChoice;
  /** In place of an optimizer: Δ itself, the same for every batch. */
  direction?: Direction;
  /** N: batches whose gradients go into the optimizer's state and nowhere else. Needed with an optimizer. */
  accumulate?: number;
  /** A file of `optimizer.save`: its state is taken in place of the N gradients. The measured batches are the same. */
  optimizerState?: string;
  /** M: batches that are measured. */
  measure: number;
  /**
   * Whether γθ of the optimizer's weight decay is in Δ. Default true: Δ is what the optimizer's step subtracts, as in
   * Kalra et al. 2026, and λc is compared with 2/η for any γ.
   */
  weightDecay?: boolean;
  /** Parts of the model, by name: λc along Δ restricted to each is measured too. */
  parts?: Record<string, ParameterSelection>;
  /** Measure λdir too. Default false. */
  directional?: boolean;
  /** Measure λmax(P⁻¹H) of each batch too, with P of the optimizer (λmax(H) where P = 1, and with a given direction). */
  hessian?: { tolerance?: number; maximumIterations?: number };
  /** Gradients with activation recomputation, as `model.gradient` has it. */
  recompute?: boolean;
  signal?: AbortSignal;
  /** Called after each batch, in order. What it throws ends the measurement. */
  onProgress?: (event: FrozenEvent) => void;
}

const names = [
  "model",
  "batches",
  "optimizer",
  "direction",
  "accumulate",
  "optimizerState",
  "measure",
  "weightDecay",
  "parts",
  "directional",
  "hessian",
  "recompute",
  "signal",
  "onProgress",
  ...measureOptionNames,
];

export type CheckedFrozenOptions = ReturnType<typeof checkFrozenOptions>;

export function checkFrozenOptions(options: unknown) {
  const given = checkNames(options, "options", names);
  const { optimizer, direction, accumulate, batches, optimizerState, weightDecay = true } = given;
  const model = checkModel(given.model);
  if ((optimizer === undefined) === (direction === undefined))
    throw expected("an optimizer or a direction, one of them,", "options", optimizer && "both");
  const needed = optimizer !== undefined && optimizerState === undefined;
  const skipped = checkNumber(or(accumulate, needed ? undefined : 0), "options.accumulate", {
    minimum: needed ? 1 : 0,
    integer: true,
  });
  const measured = checkNumber(given.measure, "options.measure", { minimum: 1, integer: true });
  if (direction !== undefined && optimizerState !== undefined)
    throw expected("an optimizer beside its state", "options.optimizer", undefined);
  const hessian = given.hessian === undefined ? undefined : checkHessian(given.hessian, model);
  return {
    model,
    batchAt: checkBatches(batches, "options.batches", skipped + measured),
    optimizer: optimizer as OptimizerChoice | undefined,
    direction: direction === undefined ? undefined : checkDirection(direction, "options.direction"),
    accumulate: skipped,
    optimizerState:
      optimizerState === undefined ? undefined : checkString(optimizerState, "options.optimizerState"),
    measure: measured,
    weightDecay: checkBoolean(weightDecay, "options.weightDecay"),
    parts: checkParts(given.parts, model),
    directional: checkBoolean(or(given.directional, false), "options.directional"),
    hessian,
    recompute: checkBoolean(or(given.recompute, false), "options.recompute"),
    search: checkMeasureOptions(given),
    signal: checkSignal(given.signal, "options.signal"),
    onProgress: (checkCallback(given.onProgress, "options.onProgress") ?? (() => {})) as (
      event: FrozenEvent,
    ) => void,
  };
}

/** A function that gives the batch of each place. */
export function checkBatches(
  batches: unknown,
  subject: string,
  needed: number,
): (index: number) => Batch | Promise<Batch> {
  if (typeof batches === "function") return batches as (index: number) => Batch | Promise<Batch>;
  if (!Array.isArray(batches)) throw expected("an array of batches or a function", subject, batches);
  if (batches.length < needed) throw expected(`at least ${needed} batches`, subject, batches.length, "range");
  return (index) => batches[index];
}

// What follows is checked before the first gradient, not after N of them.

function checkParts(parts: unknown, model: Model): [name: string, selection: ParameterSelection][] {
  return Object.entries(checkOptions(parts, "options.parts")).map(([name, selection]) => {
    const subject = `options.parts.${name}`;
    if (!select(model.parameters, selection, subject).includes(true))
      throw expected("a choice of at least one parameter", subject, "none", "range");
    return [name, selection as ParameterSelection];
  });
}

function checkHessian(hessian: unknown, model: Model) {
  const { tolerance = 0.02, maximumIterations = 60 } = checkNames(hessian, "options.hessian", [
    "tolerance",
    "maximumIterations",
  ]);
  for (const key of ["dtype", "parameterDtype"] as const)
    if (model[key] === "bfloat16")
      throw expected(
        '"float32" or "float64", as hessian takes second derivatives,',
        `the model's ${key}`,
        model[key],
        "range",
      );
  return {
    tolerance: checkNumber(tolerance, "options.hessian.tolerance", { above: 0, below: 1 }),
    maximumIterations: checkNumber(maximumIterations, "options.hessian.maximumIterations", {
      minimum: 1,
      integer: true,
    }),
  };
}
