import { checkBoolean, checkInstance, checkNumber, checkOptions, checkString } from "../checks.js";
import { Direction } from "../models/direction.js";
import type { Gradient } from "../models/model.js";
import type { ParameterSet } from "../models/parameters.js";
import { Owner } from "../native/owner.js";
import type { NativeOptimizer } from "../native/surface.js";
import { readState, writeState } from "./state-file.js";

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
   * Δ of the current state: the step is θ − η·Δ. Each parameter's part is scaled by its learning rate over the
   * optimizer's. With `weightDecay: false` the decay's part γθ is left out.
   *
   * @throws CriticalSharpnessError `ERR_NO_GRADIENT` before the first gradient.
   */
  async direction(options: { weightDecay?: boolean } = {}): Promise<Direction> {
    const { weightDecay = true } = checkOptions(options, "options");
    const handle = await this.handle.direction({
      weightDecay: checkBoolean(weightDecay, "options.weightDecay"),
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
