import * as z from "zod";
import { checkChoice, checkNumber, flags } from "../options/index.js";
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

/** How a line is searched. */
export const searchKeys = {
  tolerance: z
    .number()
    .min(1e-9)
    .lt(1)
    .default(1 / 16)
    .describe("ε of ηc: 1 − lower/upper ≤ ε.")
    .register(flags, { flag: "--tolerance <x>" }),
  method: z
    .enum(["interpolated", "bisection"])
    .default("interpolated")
    .describe("Of the search.")
    .register(flags, { flag: "--method <name>" }),
  perturbation: z
    .enum(["view", "in-place"])
    .default("view")
    .describe("How θ − ηΔ comes about: in a scratch buffer, or in place with a byte a weight.")
    .register(flags, { flag: "--perturbation <how>" }),
  scan: z
    .int()
    .min(2)
    .max(10_000)
    .optional()
    .describe("Learning rates besides at which an earlier crossing is looked for. Default: none.")
    .register(flags, { flag: "--scan <n>" }),
  resolve: z
    .enum(["float32"])
    .optional()
    .describe("Measure again so where rounding in bfloat16 leaves no answer. Default: no.")
    .register(flags, { flag: "--resolve <type>" }),
};
