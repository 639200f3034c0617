import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import { type MeasuredSharpness, SharpnessMeter } from "../measures/index.js";
import type { Batch, Gradient } from "../models/index.js";
import { MixGradients } from "./mix-gradients.js";
import { MixOptimizers } from "./mix-optimizers.js";
import { type CheckedMixSweep, checkMixSweep, type MixSweepOptions } from "./mix-sweep-options.js";

/** λc of one task along the Δ of one ratio, in one repeat. */
export interface MixMeasurement {
  /** Counts from 0. */
  repeat: number;
  ratio: number;
  task: string;
  measurement: MeasuredSharpness;
}

/** What a repeat took. */
export interface MixCost {
  repeat: number;
  /** Rows that went through backward passes for the updates: at most those of two batches for each gradient, for any ratios. */
  updateRows: number;
  /** The passes that they took: a batch is cut where a ratio's part of it ends. */
  updatePasses: number;
  /** Backward passes over the tasks' batches, for their slopes: one a task. */
  evaluatePasses: number;
  backwardSeconds: number;
  /** Forward passes of all searches. */
  forwardPasses: number;
  forwardSeconds: number;
}

export type MixSweepEvent =
  /** A gradient went into each ratio's moments. `losses`: mean of each source's rows, the varied one first; NaN of none. */
  | { type: "accumulated"; repeat: number; index: number; losses: number[] }
  | ({ type: "measured" } & MixMeasurement)
  | ({ type: "cost" } & MixCost);

export interface MixSweepResult {
  /** By repeat, task and ratio. */
  measurements: MixMeasurement[];
  costs: MixCost[];
}

/**
 * Relative critical sharpness of several tasks over the ratio of a data mixture (Kalra et al. 2026, section 5): in each
 * repeat the gradients of N batches of each ratio's mixture go into its optimizer, the weights staying as they are, and λc of every
 * task is measured along every ratio's Δ. One pass over the rows of each source serves all ratios (`MixGradients`). Memory in
 * vectors of the model's size: those of `MixOptimizers`, one a ratio and source of the rest, and four.
 *
 * @throws CriticalSharpnessError `ERR_NON_FINITE_LOSS`, and those of `criticalSharpness`.
 * @throws AbortError; TypeError, RangeError naming the option.
 */
export async function sweepMix(options: MixSweepOptions): Promise<MixSweepResult> {
  const checked = checkMixSweep(options);
  const result: MixSweepResult = { measurements: [], costs: [] };
  for (let i = 0; i < checked.repeats; i++) {
    const { measurements, cost } = await measureRepeat(checked, checked.firstRepeat + i);
    result.measurements.push(...measurements);
    result.costs.push(cost);
  }
  return result;
}

async function measureRepeat(
  options: CheckedMixSweep,
  repeat: number,
): Promise<{ measurements: MixMeasurement[]; cost: MixCost }> {
  const { model, sources, ratios, tasks, accumulate, optimizer, weightDecay, search, signal, onProgress } =
    options;
  const clock = new Clock();
  using optimizers = new MixOptimizers(model, optimizer, ratios.length);
  let updateRows = 0;
  const gradients = new MixGradients({
    sources,
    before: repeat * accumulate,
    gradientOf(batch) {
      updateRows += batch.shape[0] as number;
      return clock.backward(() => gradientOf(options, batch, "the mixture's batches"));
    },
    signal,
  });
  for (let i = 0; i < accumulate; i++) {
    const index = repeat * accumulate + i;
    const losses = await gradients.each(index, (place, gradient) => optimizers.accumulate(place, gradient));
    onProgress({ type: "accumulated", repeat, index, losses });
  }
  const updatePasses = clock.backwardPasses;
  const measurements: MixMeasurement[] = [];
  for (const [task, batchAt] of tasks) {
    throwIfAborted(signal);
    const batch = await batchAt(repeat);
    const gradient = await clock.backward(() => gradientOf(options, batch, `the task "${task}"`));
    using _ = gradient.gradient;
    const meter = new SharpnessMeter(search);
    for (const [place, ratio] of ratios.entries()) {
      using direction = await optimizers.direction(place, { weightDecay });
      const line = { model, batch: gradient.batch, gradient, direction, signal };
      const measurement = await clock.forward(() => meter.measure(line));
      const found = { repeat, ratio, task, measurement };
      measurements.push(found);
      onProgress({ type: "measured", ...found });
    }
  }
  const evaluatePasses = clock.backwardPasses - updatePasses;
  const { backwardSeconds, forwardPasses, forwardSeconds } = clock;
  const cost = {
    repeat,
    updateRows,
    updatePasses,
    evaluatePasses,
    backwardSeconds,
    forwardPasses,
    forwardSeconds,
  };
  onProgress({ type: "cost", ...cost });
  return { measurements, cost };
}

async function gradientOf(
  { model, search, signal }: Pick<CheckedMixSweep, "model" | "search" | "signal">,
  batch: Batch,
  subject: string,
): Promise<Gradient> {
  const gradient = await model.gradient(batch, { microBatch: search.microBatch, signal });
  if (Number.isFinite(gradient.loss)) return gradient;
  gradient.gradient.dispose();
  throw new CriticalSharpnessError(
    "ERR_NON_FINITE_LOSS",
    `Expected a finite loss for ${subject} but received ${gradient.loss}`,
  );
}

/** Counts and times passes. */
class Clock {
  backwardPasses = 0;
  backwardSeconds = 0;
  forwardPasses = 0;
  forwardSeconds = 0;

  async backward<T>(pass: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await pass();
    this.backwardPasses++;
    this.backwardSeconds += (performance.now() - started) / 1000;
    return result;
  }

  async forward(search: () => Promise<MeasuredSharpness>): Promise<MeasuredSharpness> {
    const started = performance.now();
    const result = await search();
    this.forwardPasses += result.forwardPasses;
    this.forwardSeconds += (performance.now() - started) / 1000;
    return result;
  }
}
