import * as z from "zod";
import { batchSchema, directionSchema, gradientSchema, modelSchema } from "../models/index.js";
import { callback, readOptions, signalSchema } from "../options/index.js";
import { type Evaluation, findCriticalLearningRate } from "../search/index.js";
import { type MeasuredSharpness, measureLine } from "./measure-line.js";
import { type MeasureOptions, measureOf, measureOptions, searchOptions } from "./measure-options.js";
import { NoiseMemory } from "./noise.js";

/** One line to measure: a model, the batch that judges, the direction. */
export const lineOptions = {
  model: modelSchema,
  /** The batch whose loss is followed along the line. */
  batch: batchSchema,
  /** Δ: the line is θ − η·Δ. */
  direction: directionSchema,
  /** s = ∇L·Δ of the batch. Give it or the gradient; without either the search takes more forward passes. */
  slope: z.number().optional(),
  /** L(θ) of the batch, where it is known beside a slope: one forward pass less. */
  baseLoss: z.number().optional(),
  /** ‖∇L‖ of the batch, beside a slope: it tells whether the slope is above its rounding noise. */
  gradientNorm: z.number().min(0).optional(),
  /** The batch's gradient. The result of `model.gradient(batch)` brings L(θ) along and so saves a forward pass. */
  gradient: gradientSchema.optional(),
  signal: signalSchema.optional(),
  /** Called after each evaluation at η > 0. */
  onEvaluation: callback<(evaluation: Evaluation) => void>().optional(),
};

export const lineSchema = z.strictObject(lineOptions);
export type LineToMeasure = z.input<typeof lineSchema>;

const criticalSchema = z.strictObject({ ...lineOptions, ...measureOptions });

/**
 * Critical sharpness λc = 2/ηc of a model along Δ, where ηc is the smallest η > 0 with L(θ − η·Δ) > L(θ) (Kalra et al.
 * 2026). The weights keep every bit. The first crossing is looked for also below the one found. Rises that the rounding of losses
 * may make count for nothing; how large it is is measured near the crossing, in
 * twelve forward passes. A `SharpnessMeter` remembers it.
 *
 * @throws CriticalSharpnessError `ERR_GRADIENT_BATCH`, `ERR_GRADIENT_VERSION` if the gradient is not that of the batch at
 *   today's weights; `ERR_WEIGHTS_CHANGED` if they change meanwhile; `ERR_NON_FINITE_DIRECTION`, `ERR_NON_FINITE_SLOPE`,
 *   `ERR_NON_FINITE_LOSS`.
 * @throws AbortError; TypeError, RangeError naming the option.
 */
export async function criticalSharpness(options: LineToMeasure & MeasureOptions): Promise<MeasuredSharpness> {
  const given = readOptions(criticalSchema, options);
  const measure = measureOf(given);
  const { signal, onEvaluation } = given;
  return measureLine(
    { ...given, subject },
    measure,
    (lossAt, known) =>
      findCriticalLearningRate(lossAt, { ...searchOptions(measure), ...known, signal, onEvaluation }),
    new NoiseMemory(),
  );
}

/** What a line is called in messages. */
export const subject = "the measured line";
