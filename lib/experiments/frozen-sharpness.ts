import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import { directionalSharpness, hessianEigenvalues, SharpnessMeter } from "../measures/index.js";
import type { Batch, Direction, Gradient, Model } from "../models/index.js";
import type { Optimizer } from "../optimizers/index.js";
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
  measurement: SearchResult;
  /** Along the part of Δ that belongs to each part of the model. */
  parts: Record<string, SearchResult>;
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
    await accumulate(
      optimizer,
      checked.accumulate,
      (index) => gradientAt(checked, index),
      (index, loss) => checked.onProgress({ type: "accumulated", index, loss }),
    );
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

/** Takes gradients into an optimizer's state and frees them. The weights are not moved. */
export async function accumulate(
  optimizer: Optimizer,
  count: number,
  gradient: (index: number) => Promise<Pick<Gradient, "loss" | "gradient">>,
  onGradient: (index: number, loss: number) => void = () => {},
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const { loss, gradient: vector } = await gradient(index);
    using owned = vector;
    await optimizer.accumulate(owned);
    onGradient(index, loss);
  }
}

type Passes = Pick<CheckedFrozenOptions, "model" | "batchAt" | "search" | "signal">;

async function gradientAt({ model, batchAt, search, signal }: Passes, index: number): Promise<Gradient> {
  throwIfAborted(signal);
  const batch = await batchAt(index);
  const gradient = await model.gradient(batch, { microBatch: search.microBatch, signal });
  if (!Number.isFinite(gradient.loss)) {
    gradient.gradient.dispose();
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_LOSS",
      `Expected a finite loss for batch ${index} but received ${gradient.loss}`,
    );
  }
  return gradient;
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
    this.#meters = new Map(options.parts.map(([name]) => [name, new SharpnessMeter(options.search)]));
  }

  async measure(index: number): Promise<FrozenMeasurement> {
    const { model, direction: given, weightDecay, signal } = this.#options;
    const gradient = await gradientAt(this.#options, index);
    using vector = gradient.gradient;
    await this.#optimizer?.accumulate(vector);
    using made = await this.#optimizer?.direction({ weightDecay });
    const line = { model, batch: gradient.batch, gradient, direction: (made ?? given) as Direction, signal };
    const measurement = await this.#meter.measure(line);
    const parts: FrozenMeasurement["parts"] = {};
    for (const [name, selection] of this.#options.parts) {
      using direction = line.direction.mask(selection);
      parts[name] = await (this.#meters.get(name) as SharpnessMeter).measure({ ...line, direction });
    }
    return {
      index,
      loss: gradient.loss,
      gradientNorm: await vector.norm(),
      measurement,
      parts,
      directionalSharpness: await this.#directional(line, measurement),
      preconditioned: await this.#preconditioned(gradient.batch),
    };
  }

  [Symbol.dispose](): void {
    this.#eigenvector?.dispose();
  }

  async #directional(
    line: { model: Model; batch: Batch; direction: Direction; gradient: Gradient; signal?: AbortSignal },
    { slope }: SearchResult,
  ): Promise<number | null> {
    if (!this.#options.directional || !((slope ?? 0) > 0)) return null;
    const { microBatch } = this.#options.search;
    return (await directionalSharpness({ ...line, microBatch })).directionalSharpness;
  }

  async #preconditioned(batch: Batch): Promise<EigenvalueRecord | null> {
    const { hessian, model, optimizer, search, signal } = this.#options;
    if (!hessian) return null;
    using preconditioner = optimizer?.type === "adamw" ? await this.#optimizer?.preconditioner() : undefined;
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
