import { checkBoolean, checkInstance, checkNumber, checkOptions, checkString } from "../checks.js";
import { Batch } from "../models/batch.js";
import { Direction } from "../models/direction.js";
import { checkGradientPass, type Gradient, type GradientOptions } from "../models/model.js";
import type { ParameterSet } from "../models/parameters.js";
import { withSignal } from "../native/cancel.js";
import { Owner } from "../native/owner.js";
import type { NativeOptimizer } from "../native/surface.js";
import { readState, writeState } from "./state-file.js";

/** What is known of a gradient that went into an optimizer's state and was not kept. */
export interface AccumulatedGradient {
  /** The batch's mean loss. */
  readonly loss: number;
  /** ‖∇L‖ */
  readonly norm: number;
  /** ∇L·Δ, where Δ is that of the state with this gradient in it. */
  readonly slope: number;
  /** Each parameter's part of the slope, in the order of the model's parameters. */
  readonly slopes: readonly number[];
  readonly batch: Batch;
  /** The model's `version` that it was computed with. */
  readonly version: number;
}

/**
 * Optimizer state over a model's weights. `accumulate` moves the state, `step` the weights; between the two, `direction`
 * is the Δ that the next step takes.
 */
export abstract class Optimizer extends Owner<NativeOptimizer> {
  /** Name of the method in state files. */
  abstract readonly kind: string;
  readonly model: ParameterSet;
  /** η of a step that names none. */
  learningRate: number;

  /** @internal */
  constructor(handle: NativeOptimizer, model: ParameterSet, learningRate: number) {
    super(handle);
    this.model = model;
    this.learningRate = learningRate;
  }

  /** Gradients accumulated so far: the t of bias corrections. */
  get steps(): number {
    return this.handle.steps;
  }

  /** Takes a gradient into the state. The weights stay as they are. */
  async accumulate(gradient: Gradient | Direction): Promise<void> {
    const given =
      gradient instanceof Direction ? gradient : (checkOptions(gradient, "gradient").gradient as unknown);
    await this.handle.accumulate(
      checkInstance(given, "gradient", Direction, "a Direction or the result of model.gradient").handle,
    );
  }

  /**
   * Takes the gradient of a batch's mean loss into the state, as `accumulate` of `model.gradient(batch)` would, with the same
   * bits. Each parameter's part goes in as soon as it is whole, so that with one micro-batch no gradient is ever held: memory of
   * the size of the model less. `weightDecay`: whether the decay's part is in the Δ of the slopes; default true.
   *
   * @throws CriticalSharpnessError `ERR_NON_FINITE_LOSS`: the state is as it was. AbortError: it may be left half-way, and is
   *   refused (`ERR_OPTIMIZER_STATE`) until `load`. TypeError, RangeError if the batch does not fit the model.
   */
  async accumulateFrom(
    batch: Batch,
    options: GradientOptions & { weightDecay?: boolean } = {},
  ): Promise<AccumulatedGradient> {
    const { weightDecay = true } = checkOptions(options, "options");
    const decay = checkBoolean(weightDecay, "options.weightDecay");
    const { signal, ...pass } = checkGradientPass(options);
    const handle = checkInstance(batch, "batch", Batch, "a Batch").handle;
    const known = await withSignal(signal, (cancel) =>
      this.handle.accumulateFrom(handle, { ...pass, weightDecay: decay, cancel }),
    );
    return { ...known, slope: known.slopes.reduce((sum, part) => sum + part, 0), batch };
  }

  /**
   * Δ of the current state: the step is θ − η·Δ. Each parameter's part is scaled by its learning rate over the
   * optimizer's. With `weightDecay: false` the decay's part γθ is left out. With `stored: false` it takes no memory: it is made
   * of the state and the weights wherever it is used, with the same bits, and is good until either changes.
   *
   * @throws CriticalSharpnessError `ERR_NO_GRADIENT` before the first gradient.
   */
  async direction(options: { weightDecay?: boolean; stored?: boolean } = {}): Promise<Direction> {
    const { weightDecay = true, stored = true } = checkOptions(options, "options");
    const handle = await this.handle.direction({
      weightDecay: checkBoolean(weightDecay, "options.weightDecay"),
      stored: checkBoolean(stored, "options.stored"),
    });
    return Direction.of(this.model, handle);
  }

  /** The diagonal P, one positive number a weight, with Δ = P⁻¹·momentum where no decay is in Δ. */
  async preconditioner(): Promise<Direction> {
    return Direction.of(this.model, await this.handle.preconditioner());
  }

  /** θ ← θ − η·Δ, with the same bits as the direction says. */
  async step(options: { learningRate?: number } = {}): Promise<void> {
    const { learningRate = this.learningRate } = checkOptions(options, "options");
    await this.handle.step(checkNumber(learningRate, "options.learningRate", { minimum: 0 }));
  }

  /** Writes the state as a safetensors file: `<role>.<parameter>` for each state tensor. */
  async save(file: string): Promise<void> {
    await writeState(checkString(file, "file"), this);
  }

  /** Takes the state from a file that `save` wrote for the same kind of optimizer and model. */
  async load(file: string): Promise<void> {
    await readState(checkString(file, "file"), this);
  }
}
