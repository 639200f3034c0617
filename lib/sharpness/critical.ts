import {
  type Batch,
  checkBatch,
  checkDirection,
  checkModel,
  type Direction,
  type Gradient,
  type Model,
} from "../models/index.js";

import { checkCallback, checkNames, checkSignal } from "../options/index.js";

import { type Evaluation, findCriticalLearningRate } from "../search/index.js";
import { type MeasuredSharpness, measureLine } from "./measure-line.js";
import {
  checkMeasureOptions,
  type MeasureOptions,
  measureOptionNames,
  searchOptions,
} from "./measure-options.js";
import { NoiseMemory } from "./noise.js";

/** One line to measure: a model, the batch that judges, the direction. */
export interface LineToMeasure {
  model: Model;
  /** The batch whose loss is followed along the line. */
  batch: Batch;
  /** Δ: the line is θ − η·Δ. */
  direction: Direction;
  /** s = ∇L·Δ of the batch. Give it or the gradient; without either the search takes more forward passes. */
  slope?: number;
  /** L(θ) of the batch, where it is known beside a slope: one forward pass less. */
  baseLoss?: number;
  /** ‖∇L‖ of the batch, beside a slope: it tells whether the slope is above its rounding noise. */
  gradientNorm?: number;
  /** The batch's gradient. The result of `model.gradient(batch)` brings L(θ) along and so saves a forward pass. */
  gradient?: Gradient | Direction;
  signal?: AbortSignal;
  /** Called after each evaluation at η > 0. */
  onEvaluation?: (evaluation: Evaluation) => void;
}

export const lineNames = [
  "model",
  "batch",
  "direction",
  "slope",
  "baseLoss",
  "gradientNorm",
  "gradient",
  "signal",
  "onEvaluation",
] as const;

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
  const given = checkNames(options, "options", [...lineNames, ...measureOptionNames]);
  const line = checkLine(given);
  const measure = checkMeasureOptions(given);
  const { signal, onEvaluation } = line;
  return measureLine(
    line,
    measure,
    (lossAt, known) =>
      findCriticalLearningRate(lossAt, { ...searchOptions(measure), ...known, signal, onEvaluation }),
    new NoiseMemory(),
  );
}

/** The parts of a line, checked as far as can be done without the model. */
export interface CheckedLine extends Pick<LineToMeasure, "model" | "batch" | "direction" | "onEvaluation"> {
  signal: AbortSignal | undefined;
  slope: unknown;
  baseLoss: unknown;
  gradientNorm: unknown;
  gradient: unknown;
  subject: string;
}

export function checkLine(given: Record<string, unknown>): CheckedLine {
  return {
    model: checkModel(given.model),
    batch: checkBatch(given.batch, "batch"),
    direction: checkDirection(given.direction, "direction"),
    slope: given.slope,
    baseLoss: given.baseLoss,
    gradientNorm: given.gradientNorm,
    gradient: given.gradient,
    subject: "the measured line",
    signal: checkSignal(given.signal, "options.signal"),
    onEvaluation: checkCallback(given.onEvaluation, "options.onEvaluation") as LineToMeasure["onEvaluation"],
  };
}
