import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import { type MeasuredSharpness, SharpnessMeter } from "../measures/index.js";
import type { Batch, Gradient, Model } from "../models/index.js";
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
  /** Backward passes over update batches: two for each gradient in the moments, whatever the number of ratios. */
  updatePasses: number;
  /** Backward passes over the tasks' batches, for their slopes: one a task. */
  evaluatePasses: number;
  backwardSeconds: number;
  /** Forward passes of all searches. */
  forwardPasses: number;
  forwardSeconds: number;
}

export type MixSweepEvent =
  /** A gradient of each part of the mixture went into the moments. */
  | { type: "accumulated"; repeat: number; index: number; variedLoss: number; restLoss: number }
  | ({ type: "measured" } & MixMeasurement)
  | ({ type: "cost" } & MixCost);

export interface MixSweepResult {
  /** By repeat, task and ratio. */
  measurements: MixMeasurement[];
  costs: MixCost[];
}

/**
 * Relative critical sharpness of several tasks over the ratio of a data mixture (Kalra et al. 2026, section 5): in each
 * repeat the gradients of N batches of the varied source and of the rest go into an optimizer for each ratio, the weights
 * staying as they are, and λc of every task is measured along every ratio's Δ. One backward pass for each part and batch
 * serves all ratios. Memory: see `MixOptimizers`, and three vectors.
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
  const { model, ratios, tasks, accumulate, optimizer, weightDecay, search, signal, onProgress } = options;
  const clock = new Clock();
  using optimizers = new MixOptimizers(model, optimizer, ratios);
  for (let i = 0; i < accumulate; i++) {
    const index = repeat * accumulate + i;
    const varied = await clock.backward(() =>
      gradientOf(options, options.varied, index, "the varied source"),
    );
    using _ = varied.gradient;
    const rest = await clock.backward(() =>
      gradientOf(options, options.rest, index, "the rest of the mixture"),
    );
    using __ = rest.gradient;
    await optimizers.accumulate(varied, rest);
    onProgress({ type: "accumulated", repeat, index, variedLoss: varied.loss, restLoss: rest.loss });
  }
  const updatePasses = clock.backwardPasses;
  const measurements: MixMeasurement[] = [];
  for (const [task, batchAt] of tasks) {
    const gradient = await clock.backward(() => gradientOf(options, batchAt, repeat, `the task "${task}"`));
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
  const cost = { repeat, updatePasses, evaluatePasses, backwardSeconds, forwardPasses, forwardSeconds };
  onProgress({ type: "cost", ...cost });
  return { measurements, cost };
}

async function gradientOf(
  { model, search, signal }: { model: Model; search: CheckedMixSweep["search"]; signal?: AbortSignal },
  batchAt: (index: number) => Batch | Promise<Batch>,
  index: number,
  subject: string,
): Promise<Gradient> {
  throwIfAborted(signal);
  const gradient = await model.gradient(await batchAt(index), { microBatch: search.microBatch, signal });
  if (Number.isFinite(gradient.loss)) return gradient;
  gradient.gradient.dispose();
  throw new CriticalSharpnessError(
    "ERR_NON_FINITE_LOSS",
    `Expected a finite loss for batch ${index} of ${subject} but received ${gradient.loss}`,
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
