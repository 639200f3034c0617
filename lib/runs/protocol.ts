import { type Batch, type Direction, type Model, type ParameterSelection, select } from "../models/index.js";
import type { Optimizer } from "../optimizers/index.js";
import type { LineToMeasure } from "../sharpness/index.js";

/** How a batch's gradient is made and taken in. */
export interface TakeOptions {
  microBatch?: number;
  /** With activation recomputation. */
  recompute?: boolean;
  /** Whether the decay's part γθ is in Δ. Default true. */
  weightDecay?: boolean;
  /** Largest ‖∇L‖ that goes into the state; a longer gradient is made as short. Null: any. It takes a vector of the model's size. */
  clipping?: number | null;
  signal?: AbortSignal;
}

/** A batch whose gradient is in an optimizer's state. */
export interface TakenBatch extends Disposable {
  batch: Batch;
  /** L(θ) */
  loss: number;
  /** ‖∇L‖, before it was clipped. */
  gradientNorm: number;
  /** What is known of the line along Δ, or the part of it that belongs to some parameters. */
  known(
    selection?: ParameterSelection,
  ): Pick<LineToMeasure, "slope" | "baseLoss" | "gradientNorm" | "gradient">;
}

/**
 * The first half of a step: the gradient of a batch goes into the optimizer's state, each parameter's part as soon as it is whole,
 * and is held nowhere else. Then Δ is `optimizer.direction()`, λc along it is measured, and `optimizer.step()` ends the step.
 *
 * @throws as `optimizer.accumulateFrom`.
 */
export async function takeBatch(
  { model, optimizer }: { model: Model; optimizer: Optimizer },
  batch: Batch,
  { clipping = null, ...options }: TakeOptions,
): Promise<TakenBatch> {
  if (clipping !== null) return takeClipped({ model, optimizer }, batch, clipping, options);
  const { loss, norm, slopes } = await optimizer.accumulateFrom(batch, options);
  return {
    batch,
    loss,
    gradientNorm: norm,
    known(selection = () => true) {
      const kept = select(model.parameters, selection, "selection");
      const slope = slopes.reduce((sum, part, i) => (kept[i] ? sum + part : sum), 0);
      return { slope, baseLoss: loss, gradientNorm: norm };
    },
    [Symbol.dispose]() {},
  };
}

/**
 * A gradient that is at hand goes into an optimizer's state, made as short as `clipping` where it is longer (null: any).
 *
 * @returns its norm, before it was clipped
 * @throws as `optimizer.accumulate`.
 */
export async function takeGradient(
  optimizer: Optimizer,
  gradient: Direction,
  clipping: number | null,
): Promise<number> {
  const norm = await gradient.norm();
  // As torch.nn.utils.clip_grad_norm_ has it.
  const factor = clipping === null ? 1 : clipping / (norm + 1e-6);
  if (factor < 1) {
    using short = await gradient.scale(factor);
    await optimizer.accumulate(short);
  } else await optimizer.accumulate(gradient);
  return norm;
}

async function takeClipped(
  { model, optimizer }: { model: Model; optimizer: Optimizer },
  batch: Batch,
  clipping: number,
  { weightDecay: _, ...pass }: Omit<TakeOptions, "clipping">,
): Promise<TakenBatch> {
  const gradient = await model.gradient(batch, pass);
  const { loss, gradient: vector } = gradient;
  try {
    const norm = await takeGradient(optimizer, vector, clipping);
    return {
      batch,
      loss,
      gradientNorm: norm,
      known: () => ({ gradient }),
      [Symbol.dispose]: () => vector.dispose(),
    };
  } catch (error) {
    vector.dispose();
    throw error;
  }
}
