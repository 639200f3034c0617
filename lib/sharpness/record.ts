import * as z from "zod";
import type { AllowedStep, SearchResult } from "../search/index.js";
import { finiteOrNull, statistics } from "../statistics.js";
import type { MeasuredSharpness } from "./measure-line.js";

/** What is known of a quantity from a few batches. */
export interface Estimate {
  /** Arithmetic mean of the values; null of none. */
  mean: number | null;
  /**
   * s/√n with the sample's standard deviation s, as for independent values; null of fewer than two. Batches that follow
   * each other share most of their moments, so that it tells the spread between batches rather than that between runs.
   */
  standardError: number | null;
  /** Number of values. */
  count: number;
}

/**
 * λc over batches. The mean is that of λc itself (not of ηc) over the batches along which Δ descends: `non-descent` ones,
 * whose λc is infinite, are left out and counted in `nonDescent`; `unbounded` ones count as λc = 0, which is what they
 * are to within the search's range, and are counted in `unbounded` too. `unresolved` ones are in neither mean nor median, and are
 * counted.
 */
export interface SharpnessEstimate extends Estimate {
  /** Middle value over all batches that are resolved, `non-descent` ones as infinite; NaN of none. */
  median: number;
  nonDescent: number;
  unbounded: number;
  unresolved: number;
}

export function estimate(values: readonly number[]): Estimate {
  const { mean, standardError } = statistics(values);
  const count = values.length;
  return { mean: count > 0 ? mean : null, standardError: count > 1 ? standardError : null, count };
}

export function estimateSharpness(
  results: readonly Pick<SearchResult, "status" | "criticalSharpness">[],
): SharpnessEstimate {
  const values = results
    .map(({ criticalSharpness }) => criticalSharpness)
    .filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b);
  const middle = values.length >> 1;
  const upper = values[middle] ?? NaN;
  const counted = (status: SearchResult["status"]) =>
    results.filter((result) => result.status === status).length;
  return {
    ...estimate(values.filter(Number.isFinite)),
    median: values.length % 2 === 1 ? upper : ((values[middle - 1] as number) + upper) / 2,
    nonDescent: counted("non-descent"),
    unbounded: counted("unbounded"),
    unresolved: counted("unresolved"),
  };
}

/** A number that may not be finite: null in JSON. What null stands for is in the status beside it. */
export const finite = z.number().nullable();
/** A number that may not be finite: null in JSON, NaN where it is read. */
export const real = z
  .number()
  .nullable()
  .transform((value) => value ?? NaN);

export const allowedSchema = z.object({
  allow: z.number(),
  level: z.number(),
  learningRate: finite,
  lower: z.number(),
  upper: finite,
  noise: finite,
  status: z.enum(["converged", "unbounded", "unresolved"]),
}) satisfies z.ZodType<AllowedStep>;

export const measurementSchema = z.object({
  /** ηc: null for `unbounded` and `unresolved`, 0 for `non-descent`. */
  criticalLearningRate: finite,
  /** λc = 2/ηc: null for `non-descent` and `unresolved`, 0 for `unbounded`. */
  criticalSharpness: finite,
  /** Of an estimate, null where nothing was seen to lie before or after the crossing. */
  lower: finite,
  upper: finite,
  status: z.enum(["converged", "non-descent", "unbounded", "unresolved"]),
  reason: z.enum(["noise", "limit"]).nullable().default(null),
  /** Records from before it said what was done had another word. */
  firstCrossing: z.enum(["probed", "scanned", "bracketed"]).catch("bracketed"),
  /** s = ∇L·Δ */
  slope: finite.default(null),
  baseLoss: finite.default(null),
  /** Of an estimate: relative error of ηc that covers it in 95 % of lines. Null of a certificate. */
  error: finite.default(null),
  /** What an estimate would have been, where a certificate was made in its place. */
  estimate: z
    .object({ learningRate: z.number(), error: z.number(), noise: z.number(), evaluations: z.number() })
    .nullable()
    .default(null),
  /** Standard error of ηc that the rounding of losses makes, relative to it. */
  noise: finite.default(null),
  /** Arithmetic of the losses. */
  dtype: z.enum(["float32", "float64", "bfloat16"]).default("float32"),
  /** Of a mixture of experts. */
  expertChanges: z.object({ tokens: z.number(), of: z.number() }).optional(),
  /** The largest step within a loss budget, where one was asked for. */
  allowed: allowedSchema.optional(),
  evaluations: z.array(z.object({ learningRate: z.number(), loss: finite })).default([]),
  forwardPasses: z.number(),
  seconds: z.number().default(0),
});

/** A measurement as it is recorded. */
export type MeasurementRecord = z.output<typeof measurementSchema>;

export function measurementRecord(result: MeasuredSharpness, seconds: number): MeasurementRecord {
  return {
    criticalLearningRate: finiteOrNull(result.criticalLearningRate),
    criticalSharpness: finiteOrNull(result.criticalSharpness),
    lower: result.error !== null && result.lower === 0 ? null : finiteOrNull(result.lower),
    upper: finiteOrNull(result.upper),
    status: result.status,
    reason: result.reason,
    firstCrossing: result.firstCrossing,
    slope: finiteOrNull(result.slope),
    baseLoss: finiteOrNull(result.baseLoss),
    error: result.error,
    estimate: result.estimate,
    noise: finiteOrNull(result.noise),
    dtype: result.dtype,
    ...(result.expertChanges && { expertChanges: result.expertChanges }),
    ...(result.allowed && { allowed: result.allowed }),
    evaluations: result.evaluations.map(({ learningRate, loss }) => ({
      learningRate,
      loss: finiteOrNull(loss),
    })),
    forwardPasses: result.forwardPasses,
    seconds,
  };
}

export const estimateSchema = z.object({
  mean: finite,
  standardError: finite,
  count: z.number(),
}) satisfies z.ZodType<Estimate>;

/** `SharpnessEstimate` in JSON: a median that is infinite, or of no batches, is null. */
export const sharpnessEstimateSchema = estimateSchema.extend({
  median: finite,
  nonDescent: z.number(),
  unbounded: z.number(),
  /** Of records from before there was such a status: none. */
  unresolved: z.number().default(0),
});

export type SharpnessEstimateRecord = z.output<typeof sharpnessEstimateSchema>;

export function sharpnessEstimateRecord(found: SharpnessEstimate): SharpnessEstimateRecord {
  return { ...found, median: finiteOrNull(found.median) };
}

/** λc of a record, which says it as null where it is infinite or unknown. */
export function recordedSharpness({
  status,
  criticalSharpness,
}: Pick<MeasurementRecord, "status" | "criticalSharpness">): Pick<
  MeasuredSharpness,
  "status" | "criticalSharpness"
> {
  return { status, criticalSharpness: criticalSharpness ?? (status === "non-descent" ? Infinity : NaN) };
}
