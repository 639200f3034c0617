import * as z from "zod";
import { finiteOrNull } from "../statistics.js";
import type { Estimate, SharpnessEstimate } from "./estimate.js";
import type { MeasuredSharpness } from "./measure-line.js";

/** A number that may not be finite: null in JSON. What null stands for is in the status beside it. */
export const finite = z.number().nullable();
/** A number that may not be finite: null in JSON, NaN where it is read. */
export const real = z
  .number()
  .nullable()
  .transform((value) => value ?? NaN);

export const measurementSchema = z.object({
  /** ηc: null for `unbounded` and `unresolved`, 0 for `non-descent`. */
  criticalLearningRate: finite,
  /** λc = 2/ηc: null for `non-descent` and `unresolved`, 0 for `unbounded`. */
  criticalSharpness: finite,
  lower: finite,
  upper: finite,
  status: z.enum(["converged", "non-descent", "unbounded", "unresolved"]),
  reason: z.enum(["noise", "limit"]).nullable().default(null),
  /** Records from before it said what was done had another word. */
  firstCrossing: z.enum(["probed", "scanned", "bracketed"]).catch("bracketed"),
  /** s = ∇L·Δ */
  slope: finite.default(null),
  baseLoss: finite.default(null),
  /** Standard error of ηc that the rounding of losses makes, relative to it. */
  noise: finite.default(null),
  /** Arithmetic of the losses. */
  dtype: z.enum(["float32", "float64", "bfloat16"]).default("float32"),
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
    lower: finiteOrNull(result.lower),
    upper: finiteOrNull(result.upper),
    status: result.status,
    reason: result.reason,
    firstCrossing: result.firstCrossing,
    slope: finiteOrNull(result.slope),
    baseLoss: finiteOrNull(result.baseLoss),
    noise: finiteOrNull(result.noise),
    dtype: result.dtype,
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
