import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import {
  directionalSharpness,
  hessianEigenvalues,
  type LineToMeasure,
  type MeasuredSharpness,
  NoiseMemory,
  SharpnessMeter,
} from "../measures/index.js";
import type { Batch, Direction, Gradient, ParameterSelection } from "../models/index.js";
import { select } from "../models/parameters.js";
import type { AccumulatedGradient, Optimizer } from "../optimizers/index.js";
import type { SearchResult } from "../search/index.js";
import { type Estimate, estimate, estimateSharpness, type SharpnessEstimate } from "./estimate.js";
import { type CheckedFrozenOptions, checkFrozenOptions, type FrozenOptions } from "./frozen-options.js";
import { makeOptimizer } from "./make-optimizer.js";
import { type EigenvalueRecord, eigenvalueRecord } from "./records.js";

/** What was measured on one batch. */
export interface FrozenMeasurement {
  /** The batch's place, which counts from 0; the accumulated ones come first. */
  index: number;
  /** L(θ) */
  loss: number;
  /** ‖∇L‖ */
  gradientNorm: number;
  /** Along the whole Δ. */
  measurement: MeasuredSharpness;
  /** Along the part of Δ that belongs to each part of the model. */
  parts: Record<string, MeasuredSharpness>;
  /** λdir; null unless asked for, and where Δ does not descend. */
  directionalSharpness: number | null;
  /** λmax(P⁻¹H); null unless asked for. */
  preconditioned: EigenvalueRecord | null;
}

export type FrozenEvent =
  | { type: "accumulated"; index: number; loss: number }
  | ({ type: "measured" } & FrozenMeasurement);

export interface FrozenResult {
  /** One for each measured batch, in order. */
  batches: FrozenMeasurement[];
  criticalSharpness: SharpnessEstimate;
  /** Over the measured batches. */
  loss: Estimate;
  parts: Record<string, SharpnessEstimate>;
  /** Over the batches along which Δ descends. Null unless asked for. */
  directionalSharpness: Estimate | null;
  /** Null unless asked for. */
  preconditioned: Estimate | null;
  /** Gradients in the optimizer's state before the first measured batch: N, or those of the stored state. */
  accumulated: number;
}

/**
 * λc of a model whose weights stay as they are (the protocol for checkpoints of Kalra et al. 2026): the gradients of N
 * batches go into an optimizer's state, bias-corrected as usual. Then, M times, the gradient of the next batch goes in
 * too, Δ is what the optimizer would subtract, and λc along it is measured on that same batch, warm-started by the
 * measurement before.
 *
 * @throws CriticalSharpnessError `ERR_NON_FINITE_LOSS`, `ERR_OPTIMIZER_STATE`, and those of `criticalSharpness`.
 * @throws AbortError; TypeError, RangeError naming the option.
 */
export async function frozenSharpness(options: FrozenOptions): Promise<FrozenResult> {
  const checked = checkFrozenOptions(options);
  using optimizer = checked.optimizer && makeOptimizer(checked.model, checked.optimizer);
  if (optimizer && checked.optimizerState !== undefined) await optimizer.load(checked.optimizerState);
  else if (optimizer)
    for (let index = 0; index < checked.accumulate; index++) {
      const { loss } = await accumulateAt(checked, optimizer, index);
      checked.onProgress({ type: "accumulated", index, loss });
    }
  const accumulated = optimizer?.steps ?? 0;
  const batches: FrozenMeasurement[] = [];
  using watch = new FrozenWatch(checked, optimizer);
  for (let i = 0; i < checked.measure; i++) {
    const found = await watch.measure(checked.accumulate + i);
    batches.push(found);
    checked.onProgress({ type: "measured", ...found });
  }
  return { batches, accumulated, ...summarize(checked, batches) };
}

/** A batch's gradient into the optimizer's state, which holds it nowhere else. */
async function accumulateAt(
  { batchAt, search: { microBatch }, recompute, weightDecay, signal }: CheckedFrozenOptions,
  optimizer: Optimizer,
  index: number,
): Promise<AccumulatedGradient> {
  throwIfAborted(signal);
  const batch = await batchAt(index);
  return optimizer
    .accumulateFrom(batch, { microBatch, recompute, weightDecay, signal })
    .catch((cause: Error & { code?: string }) => {
      if (cause.code !== "ERR_NON_FINITE_LOSS") throw cause;
      const message = cause.message.replace("the batch", `batch ${index}`);
      throw new CriticalSharpnessError(cause.code, message, { cause });
    });
}

async function gradientAt(
  { model, batchAt, search: { microBatch }, recompute, signal }: CheckedFrozenOptions,
  index: number,
): Promise<Gradient> {
  throwIfAborted(signal);
  const batch = await batchAt(index);
  const gradient = await model.gradient(batch, { microBatch, recompute, signal });
  if (!Number.isFinite(gradient.loss)) {
    gradient.gradient.dispose();
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_LOSS",
      `Expected a finite loss for batch ${index} but received ${gradient.loss}`,
    );
  }
  return gradient;
}

/** A batch with its Δ, and what its gradient says of the line. */
interface FrozenLine extends Disposable {
  batch: Batch;
  direction: Direction;
  loss: number;
  gradientNorm: number;
  /** Of the line along the part of Δ that belongs to some parameters, or along all of it. */
  known(
    selection?: ParameterSelection,
  ): Pick<LineToMeasure, "slope" | "baseLoss" | "gradientNorm" | "gradient">;
}

/** Everything that one measurement leaves for the next. */
class FrozenWatch implements Disposable {
  readonly #options: CheckedFrozenOptions;
  readonly #optimizer: Optimizer | undefined;
  readonly #meter: SharpnessMeter;
  readonly #meters: Map<string, SharpnessMeter>;
  #eigenvector: Direction | undefined;

  constructor(options: CheckedFrozenOptions, optimizer: Optimizer | undefined) {
    this.#options = options;
    this.#optimizer = optimizer;
    this.#meter = new SharpnessMeter(options.search);
    // The parts share what is learnt of rounding, and change nothing about the whole.
    const noise = new NoiseMemory();
    this.#meters = new Map(options.parts.map(([name]) => [name, new SharpnessMeter(options.search, noise)]));
  }

  async measure(index: number): Promise<FrozenMeasurement> {
    const { model, parts: selections, signal } = this.#options;
    using line = this.#optimizer ? await this.#updated(index, this.#optimizer) : await this.#given(index);
    const { batch, direction, loss, gradientNorm } = line;
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
      directionalSharpness: await this.#directional(line, measurement),
      preconditioned: await this.#preconditioned(batch),
    };
  }

  /** The line of Δ with the batch's own gradient in it. Neither is stored, but for what second derivatives need. */
  async #updated(index: number, optimizer: Optimizer): Promise<FrozenLine> {
    const { model, weightDecay, directional } = this.#options;
    const { batch, loss, norm, slopes } = await accumulateAt(this.#options, optimizer, index);
    const direction = await optimizer.direction({ weightDecay, stored: directional });
    return {
      batch,
      direction,
      loss,
      gradientNorm: norm,
      known(selection = () => true) {
        const kept = select(model.parameters, selection, "selection");
        const slope = slopes.reduce((sum, part, i) => (kept[i] ? sum + part : sum), 0);
        return { slope, baseLoss: loss, gradientNorm: norm };
      },
      [Symbol.dispose]: () => direction.dispose(),
    };
  }

  /** The line of a Δ that is the same for every batch. */
  async #given(index: number): Promise<FrozenLine> {
    const direction = this.#options.direction as Direction;
    const gradient = await gradientAt(this.#options, index);
    const { batch, loss, gradient: vector } = gradient;
    return {
      batch,
      direction,
      loss,
      gradientNorm: await vector.norm(),
      known: () => ({ gradient }),
      [Symbol.dispose]: () => vector.dispose(),
    };
  }

  [Symbol.dispose](): void {
    this.#eigenvector?.dispose();
  }

  async #directional({ batch, direction }: FrozenLine, { slope }: SearchResult): Promise<number | null> {
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

function summarize(
  { parts, directional, hessian }: CheckedFrozenOptions,
  batches: readonly FrozenMeasurement[],
): Omit<FrozenResult, "batches" | "accumulated"> {
  const present = (values: (number | null | undefined)[]) => values.filter((x) => typeof x === "number");
  return {
    criticalSharpness: estimateSharpness(batches.map((b) => b.measurement)),
    loss: estimate(batches.map((b) => b.loss)),
    parts: Object.fromEntries(
      parts.map(([name]) => [name, estimateSharpness(batches.map((b) => b.parts[name] as SearchResult))]),
    ),
    directionalSharpness: directional ? estimate(present(batches.map((b) => b.directionalSharpness))) : null,
    preconditioned: hessian ? estimate(present(batches.map((b) => b.preconditioned?.eigenvalue))) : null,
  };
}
