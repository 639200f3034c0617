import { checkChoice, checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import type { Batch, Direction, Model } from "../models/index.js";
import type { SearchMethod, SearchOptions } from "../search/index.js";

/** How a line is searched and its losses are computed. */
export interface MeasureOptions {
  /** ε of the certificate 1 − lower/upper ≤ ε. Default 1/16. */
  tolerance?: number;
  /** Default `interpolated`. */
  method?: SearchMethod;
  /** Where a search starts that has nothing to go by. Default 1e-3. */
  initialLearningRate?: number;
  /** How θ − η·Δ comes about: `view` needs a scratch buffer, `in-place` a byte a weight. The losses are the same. */
  perturbation?: "view" | "in-place";
  /** Rows or sequences at a time. Default: all at once. */
  microBatch?: number;
  /**
   * σ: standard deviation of the rounding of one loss, in the loss's units. Default: measured near the crossing, in twelve forward
   * passes; a meter remembers it from its first two crossings on.
   */
  lossNoise?: number;
  /** N: learning rates besides at which an earlier crossing is looked for, over the three decades below the one found. */
  scan?: number;
  /** Where rounding leaves no answer in bfloat16: measure again in float32, with a backward pass for the slope. Default: no. */
  resolve?: "float32";
}

export const measureOptionNames = [
  "tolerance",
  "method",
  "initialLearningRate",
  "perturbation",
  "microBatch",
  "lossNoise",
  "scan",
  "resolve",
] as const satisfies readonly (keyof MeasureOptions)[];

/** The options of a measurement, checked. What the search itself takes is checked by the search as well. */
export function checkMeasureOptions(given: Record<string, unknown>): MeasureOptions {
  const checked: MeasureOptions = {};
  if (given.tolerance !== undefined)
    checked.tolerance = checkNumber(given.tolerance, "options.tolerance", { minimum: 1e-9, below: 1 });
  if (given.method !== undefined)
    checked.method = checkChoice<SearchMethod>(given.method, "options.method", ["interpolated", "bisection"]);
  if (given.initialLearningRate !== undefined)
    checked.initialLearningRate = checkNumber(given.initialLearningRate, "options.initialLearningRate", {
      minimum: 1e-200,
      maximum: 1e200,
    });
  if (given.perturbation !== undefined)
    checked.perturbation = checkChoice<"view" | "in-place">(given.perturbation, "options.perturbation", [
      "view",
      "in-place",
    ]);
  if (given.microBatch !== undefined)
    checked.microBatch = checkNumber(given.microBatch, "options.microBatch", { minimum: 1, integer: true });
  if (given.lossNoise !== undefined)
    checked.lossNoise = checkNumber(given.lossNoise, "options.lossNoise", { minimum: 0 });
  if (given.scan !== undefined)
    checked.scan = checkNumber(given.scan, "options.scan", { minimum: 2, maximum: 10_000, integer: true });
  if (given.resolve !== undefined)
    checked.resolve = checkChoice<"float32">(given.resolve, "options.resolve", ["float32"]);
  return checked;
}

/** Those that the search itself takes. */
export function searchOptions({
  tolerance,
  method,
  initialLearningRate,
  scan,
}: MeasureOptions): SearchOptions {
  return { tolerance, method, initialLearningRate, scan };
}

/** Options as a record, none of them unknown. */
export function checkNames(
  value: unknown,
  subject: string,
  names: readonly string[],
): Record<string, unknown> {
  const given = checkOptions(value, subject);
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw expected(`one of ${names.join(", ")}`, "the name of an option", name, "range");
  return given;
}

/** The value, or the usual one where none is given. Null is a value, and the checks' to reject. */
export function or(value: unknown, usual: unknown): unknown {
  return value === undefined ? usual : value;
}

export function checkModel(value: unknown): Model {
  return duck<Model>(value, "model", "a Model", ["lossWithVersion", "gradient", "parameters"]);
}

export function checkBatch(value: unknown, subject: string): Batch {
  return duck<Batch>(value, subject, "a Batch", ["kind", "shape", "count"]);
}

export function checkDirection(value: unknown, subject: string): Direction {
  return duck<Direction>(value, subject, "a Direction", ["dot", "norm", "scale"]);
}

export function checkCallback(
  value: unknown,
  subject = "options.onEvaluation",
): ((...args: never[]) => void) | undefined {
  if (value !== undefined && typeof value !== "function") throw expected("a function", subject, value);
  return value as ((...args: never[]) => void) | undefined;
}

/** By their members, not their class: this room knows the models as types only. */
function duck<T>(value: unknown, subject: string, what: string, members: readonly string[]): T {
  const fits = typeof value === "object" && value !== null && members.every((m) => m in value);
  if (!fits) throw expected(what, subject, value);
  return value as T;
}
