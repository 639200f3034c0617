import { CriticalSharpnessError, throwIfAborted } from "../../errors.js";
import type { Batch, Gradient } from "../../models/index.js";
import {
  type MeasuredNoise,
  type MeasuredSharpness,
  type MeterState,
  NoiseMemory,
  SharpnessMeter,
} from "../../sharpness/index.js";
import { ownSignal } from "../../torch/index.js";
import { MixGradients } from "./gradients.js";
import { MixOptimizers } from "./mix-optimizers.js";
import type { MixCost } from "./mix-records.js";
import { type CheckedMixSweep, checkMixSweep, type MixSweepOptions } from "./sweep-options.js";

/** λc of one task along the Δ of one ratio, in one repeat. */
export interface MixMeasurement {
  /** Counts from 0. */
  repeat: number;
  ratio: number;
  task: string;
  measurement: MeasuredSharpness;
}

export type { MixCost };

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
    using repeat = new MixRepeat(checked, checked.firstRepeat + i);
    for (let event = await repeat.next(); event; event = await repeat.next()) {
      const { type, ...found } = event;
      if (type === "measured") result.measurements.push(found as MixMeasurement);
      if (type === "cost") result.costs.push(found as MixCost);
      checked.onProgress(event);
    }
  }
  return result;
}

/** What a repeat needs, besides the files that it saves, to go on after a gradient or a line. */
export interface MixRepeatState {
  repeat: number;
  /** Gradients in the moments, and lines that are measured. */
  accumulated: number;
  measured: number;
  cost: MixCost;
  noise: MeasuredNoise[];
  /** Of the task whose lines are measured. */
  meter: MeterState | null;
}

/** One repeat of a sweep, a gradient or a line at a time. */
export class MixRepeat implements Disposable {
  readonly #options: CheckedMixSweep;
  readonly #optimizers: MixOptimizers;
  readonly #gradients: MixGradients;
  readonly #noise = new NoiseMemory();
  #cost: MixCost;
  #accumulated = 0;
  #measured = 0;
  #ended = false;
  /** The task whose lines are measured. */
  #task: { gradient: Gradient; meter: SharpnessMeter } | undefined;

  constructor(options: CheckedMixSweep, repeat: number) {
    const { model, optimizer, ratios, sources, accumulate, signal } = options;
    this.#options = options;
    this.#optimizers = new MixOptimizers(model, optimizer, ratios.length);
    this.#cost = {
      repeat,
      updateRows: 0,
      updatePasses: 0,
      evaluatePasses: 0,
      backwardSeconds: 0,
      forwardPasses: 0,
      forwardSeconds: 0,
    };
    this.#gradients = new MixGradients({
      sources,
      before: repeat * accumulate,
      gradientOf: (batch) => {
        this.#cost.updateRows += batch.shape[0] as number;
        this.#cost.updatePasses++;
        return this.#gradient(batch, "the mixture's batches");
      },
      signal: ownSignal(signal, model),
    });
  }

  /** Takes the next gradient, or measures the next line, of which the last is followed by what all of it took. */
  async next(): Promise<MixSweepEvent | undefined> {
    const { ratios, tasks, accumulate } = this.#options;
    if (this.#accumulated < accumulate) return this.#accumulate();
    if (this.#measured < ratios.length * tasks.length) return this.#measure();
    if (this.#ended) return undefined;
    this.#ended = true;
    return { type: "cost", ...this.#cost };
  }

  async #accumulate(): Promise<MixSweepEvent> {
    const { repeat } = this.#cost;
    const index = repeat * this.#options.accumulate + this.#accumulated;
    const losses = await this.#gradients.each(index, (place, gradient) =>
      this.#optimizers.accumulate(place, gradient),
    );
    this.#accumulated++;
    return { type: "accumulated", repeat, index, losses };
  }

  async #measure(): Promise<MixSweepEvent> {
    const { model, ratios, tasks, weightDecay, search, signal } = this.#options;
    throwIfAborted(ownSignal(signal, model));
    const place = this.#measured % ratios.length;
    const [task, batchAt] = tasks[Math.floor(this.#measured / ratios.length)] as (typeof tasks)[number];
    const { repeat } = this.#cost;
    if (!this.#task) {
      const gradient = await this.#gradient(await batchAt(repeat), `the task "${task}"`);
      this.#cost.evaluatePasses++;
      this.#task = { gradient, meter: new SharpnessMeter(search, this.#noise) };
    }
    const { gradient, meter } = this.#task;
    const started = performance.now();
    using direction = await this.#optimizers.direction(place, { weightDecay });
    const measurement = await meter.measure({ model, batch: gradient.batch, gradient, direction, signal });
    this.#cost.forwardPasses += measurement.forwardPasses;
    this.#cost.forwardSeconds += (performance.now() - started) / 1000;
    this.#measured++;
    if (place === ratios.length - 1) this.#endTask();
    return { type: "measured", repeat, ratio: ratios[place] as number, task, measurement };
  }

  async #gradient(batch: Batch, subject: string): Promise<Gradient> {
    const started = performance.now();
    const gradient = await gradientOf(this.#options, batch, subject);
    this.#cost.backwardSeconds += (performance.now() - started) / 1000;
    return gradient;
  }

  #endTask(): void {
    this.#task?.gradient.gradient.dispose();
    this.#task = undefined;
  }

  /**
   * What there is besides the files, which are written into a folder.
   *
   * @param reuse takes a file of the state before, where it is the same
   */
  async save(folder: string, reuse: (file: string) => Promise<void>): Promise<MixRepeatState> {
    await this.#optimizers.save(folder, this.#measured > 0 ? reuse : undefined);
    return {
      repeat: this.#cost.repeat,
      accumulated: this.#accumulated,
      measured: this.#measured,
      cost: this.#cost,
      noise: this.#noise.state(),
      meter: this.#task?.meter.state() ?? null,
    };
  }

  /** Goes on from a state: what follows is what would have followed, bit for bit. */
  async restore(
    folder: string,
    { accumulated, measured, cost, noise, meter }: MixRepeatState,
  ): Promise<void> {
    const { accumulate, ratios, tasks, search } = this.#options;
    await this.#optimizers.load(folder);
    for (let i = 0; i < accumulated; i++) await this.#gradients.skip(cost.repeat * accumulate + i);
    this.#cost = { ...cost };
    this.#accumulated = accumulated;
    this.#measured = measured;
    this.#noise.restore(noise);
    if (!meter) return;
    const [task, batchAt] = tasks[Math.floor(measured / ratios.length)] as (typeof tasks)[number];
    const gradient = await this.#gradient(await batchAt(cost.repeat), `the task "${task}"`);
    this.#task = { gradient, meter: new SharpnessMeter(search, this.#noise) };
    this.#task.meter.restore(meter);
  }

  [Symbol.dispose](): void {
    this.#endTask();
    this.#optimizers[Symbol.dispose]();
  }
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
