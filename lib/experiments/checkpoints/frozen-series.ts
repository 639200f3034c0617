import { existsSync } from "node:fs";
import path from "node:path";
import {
  directionalSharpness,
  type EigenvalueRecord,
  eigenvalueRecord,
  hessianEigenvalues,
} from "../../curvature/index.js";
import { CriticalSharpnessError, throwIfAborted } from "../../errors.js";
import { type Batch, Direction } from "../../models/index.js";
import { loadOptimizer, makeOptimizer, type Optimizer, requireMetric } from "../../optimizers/index.js";
import { type TakenBatch, takeBatch } from "../../runs/index.js";
import type { SearchResult } from "../../search/index.js";
import { type MeterState, NoiseMemory, SharpnessMeter } from "../../sharpness/index.js";
import { ownSignal } from "../../torch/index.js";
import type { CheckedFrozenOptions } from "./frozen-options.js";

import type { FrozenEvent, FrozenMeasurement } from "./frozen-summary.js";

/** What a series needs, besides the files that it saves, to go on after a batch. */
export interface FrozenState {
  /** Batches taken, accumulated ones first. */
  done: number;
  accumulated: number;
  meter: MeterState;
  meters: Record<string, MeterState>;
}

const files = { optimizer: "optimizer.safetensors", eigenvector: "eigenvector.safetensors" } as const;

async function optimizerOf({
  model,
  optimizer: choice,
  optimizerState,
  signal,
}: CheckedFrozenOptions): Promise<Optimizer | undefined> {
  if (!choice)
    return optimizerState === undefined ? undefined : loadOptimizer(optimizerState, model, { signal });
  const optimizer = makeOptimizer(model, choice);
  try {
    if (optimizerState !== undefined) await optimizer.load(optimizerState, { signal });
    return optimizer;
  } catch (error) {
    optimizer.dispose();
    throw error;
  }
}

/** The protocol, a batch at a time, and everything that one batch leaves for the next. */
export class FrozenSeries implements Disposable {
  readonly #options: CheckedFrozenOptions;
  #optimizer: Optimizer | undefined;
  readonly #meter: SharpnessMeter;
  readonly #meters: Map<string, SharpnessMeter>;
  #eigenvector: Direction | undefined;
  #done = 0;
  /** Gradients in the optimizer's state before the first measured batch. */
  accumulated = 0;

  private constructor(options: CheckedFrozenOptions, optimizer: Optimizer | undefined) {
    this.#options = options;
    this.#optimizer = optimizer;
    this.#meter = new SharpnessMeter(options.search);
    // The parts share what is learnt of rounding, and change nothing about the whole.
    const noise = new NoiseMemory();
    this.#meters = new Map(options.parts.map(([name]) => [name, new SharpnessMeter(options.search, noise)]));
  }

  static async begin(options: CheckedFrozenOptions): Promise<FrozenSeries> {
    const { optimizer: choice, optimizerState, accumulate } = options;
    const series = new FrozenSeries(options, await optimizerOf(options));
    try {
      // Before the hours that its gradients may take.
      if (options.hessian && series.#optimizer) requireMetric(series.#optimizer);
      // Those batches are passed over, so that the measured ones are the same.
      if (optimizerState !== undefined || !choice) series.#begin(accumulate);
      return series;
    } catch (error) {
      series[Symbol.dispose]();
      throw error;
    }
  }

  /** What makes Δ, as long as the series lives. */
  get optimizer(): Optimizer | undefined {
    return this.#optimizer;
  }

  /** Takes the next batch; undefined after the last. */
  async next(): Promise<FrozenEvent | undefined> {
    const { accumulate, measure } = this.#options;
    const index = this.#done;
    if (index >= accumulate + measure) return undefined;
    if (index >= accumulate) {
      const found = await this.#measure(index);
      this.#done++;
      return { type: "measured", ...found };
    }
    using taken = await this.#take(index);
    this.#done++;
    if (this.#done === accumulate) this.#begin(accumulate);
    return { type: "accumulated", index, loss: taken.loss };
  }

  #begin(done: number): void {
    this.#done = done;
    this.accumulated = this.#optimizer?.steps ?? 0;
  }

  /** What there is besides the files, which are written into a folder. */
  async save(folder: string): Promise<FrozenState> {
    // A stored state is where it was.
    if (this.#options.optimizerState === undefined)
      await this.#optimizer?.save(path.join(folder, files.optimizer));
    await this.#eigenvector?.save(path.join(folder, files.eigenvector));
    return {
      done: this.#done,
      accumulated: this.accumulated,
      meter: this.#meter.state(),
      meters: Object.fromEntries([...this.#meters].map(([name, meter]) => [name, meter.state()])),
    };
  }

  /** Goes on from a state: what follows is what would have followed, bit for bit. */
  async restore(folder: string, { done, accumulated, meter, meters }: FrozenState): Promise<void> {
    if (this.#options.optimizerState === undefined)
      await this.#optimizer?.load(path.join(folder, files.optimizer));
    const eigenvector = path.join(folder, files.eigenvector);
    if (existsSync(eigenvector)) this.#eigenvector = await Direction.load(eigenvector, this.#options.model);
    this.#meter.restore(meter);
    for (const [name, own] of this.#meters) own.restore(meters[name] as MeterState);
    this.#done = done;
    this.accumulated = accumulated;
  }

  /** A batch whose gradient is in the optimizer's state. */
  async #take(index: number): Promise<TakenBatch> {
    const { model, search, recompute, weightDecay, signal } = this.#options;
    throwIfAborted(ownSignal(signal, model));
    const batch = await this.#options.batchAt(index);
    const optimizer = this.#optimizer as Optimizer;
    const { microBatch } = search;
    return takeBatch({ model, optimizer }, batch, { microBatch, recompute, weightDecay, signal }).catch(
      (cause: Error & { code?: string }) => {
        if (cause.code !== "ERR_NON_FINITE_LOSS") throw cause;
        const message = cause.message.replace("the batch", `batch ${index}`);
        throw new CriticalSharpnessError(cause.code, message, { cause });
      },
    );
  }

  async #measure(index: number): Promise<FrozenMeasurement> {
    const { model, parts: selections, signal } = this.#options;
    await this.#beginAnew(index);
    using line = await (this.#optimizer ? this.#take(index) : this.#given(index));
    const { batch, loss, gradientNorm } = line;
    using own = await this.#optimizer?.direction({
      weightDecay: this.#options.weightDecay,
      // Second derivatives need it as a vector; elsewhere it is made of the state where a weight is read, unless that takes long.
      stored: this.#optimizer.isWhole || this.#options.directional,
    });
    const direction = own ?? (this.#options.direction as Direction);
    const whole = { model, batch, direction, signal };
    const measurement = await this.#meter.measure({ ...whole, ...line.known() });
    const parts: FrozenMeasurement["parts"] = {};
    for (const [name, selection] of selections) {
      using part = direction.mask(selection);
      const meter = this.#meters.get(name) as SharpnessMeter;
      parts[name] = await meter.measure({ ...whole, direction: part, ...line.known(selection) });
    }
    return {
      index,
      loss,
      gradientNorm,
      measurement,
      parts,
      directionalSharpness: await this.#directional(batch, direction, measurement),
      preconditioned: await this.#preconditioned(batch),
    };
  }

  /**
   * Each measured batch is one that the run might have taken next, so that a stored state has no gradient of those before: taken at
   * weights that do not move, these would make Δ that of accumulated moments within a few batches.
   */
  async #beginAnew(index: number): Promise<void> {
    const { optimizerState, accumulate } = this.#options;
    if (optimizerState === undefined || index === accumulate) return;
    // Not two at once: a state may be twice the model.
    this.#optimizer?.dispose();
    this.#optimizer = await optimizerOf(this.#options);
  }

  /** A batch with its gradient, for a Δ that is the same for every batch. */
  async #given(index: number): Promise<TakenBatch> {
    const { model, batchAt, search, recompute, signal } = this.#options;
    throwIfAborted(ownSignal(signal, model));
    const batch = await batchAt(index);
    const gradient = await model.gradient(batch, { microBatch: search.microBatch, recompute, signal });
    const { loss, gradient: vector } = gradient;
    if (!Number.isFinite(loss)) {
      vector.dispose();
      throw new CriticalSharpnessError(
        "ERR_NON_FINITE_LOSS",
        `Expected a finite loss for batch ${index} but received ${loss}`,
      );
    }
    return {
      batch,
      loss,
      gradientNorm: await vector.norm(),
      known: () => ({ gradient }),
      [Symbol.dispose]: () => vector.dispose(),
    };
  }

  [Symbol.dispose](): void {
    this.#eigenvector?.dispose();
    this.#optimizer?.dispose();
  }

  async #directional(batch: Batch, direction: Direction, { slope }: SearchResult): Promise<number | null> {
    const { directional, model, search, signal } = this.#options;
    if (!directional || slope === null || !(slope > 0)) return null;
    const { microBatch } = search;
    return (await directionalSharpness({ model, batch, direction, slope, microBatch, signal }))
      .directionalSharpness;
  }

  async #preconditioned(batch: Batch): Promise<EigenvalueRecord | null> {
    const { hessian, model, search, signal } = this.#options;
    if (!hessian) return null;
    using preconditioner = (await this.#optimizer?.preconditioner()) ?? undefined;
    const result = await hessianEigenvalues({
      ...hessian,
      model,
      batch,
      preconditioner,
      microBatch: search.microBatch,
      signal,
      initial: this.#eigenvector,
      eigenvectors: true,
    });
    this.#eigenvector?.dispose();
    this.#eigenvector = result.eigenvectors[0];
    return eigenvalueRecord(result);
  }
}
