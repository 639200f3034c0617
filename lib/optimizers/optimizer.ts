import * as z from "zod";
import { CriticalSharpnessError, throwIfAborted } from "../errors.js";
import {
  Batch,
  Direction,
  type Gradient,
  type GradientOptions,
  ParameterSet,
  readGradientPass,
} from "../models/index.js";
import {
  checkBoolean,
  checkInstance,
  checkNumber,
  checkOptions,
  checkString,
  readOptions,
} from "../options/index.js";
import {
  type NativeOptimizer,
  native,
  Owner,
  ownSignal,
  type SignalOptions,
  signalOf,
  stoppable,
  withSignal,
} from "../torch/index.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./groups.js";
import type { OptimizerRule } from "./rule.js";
import { readState, writeState } from "./state-file.js";
import { locateState } from "./stored/find-state.js";
import { parameterOrder } from "./stored/parameter-order.js";
import { readStoredOptimizer } from "./stored/read-optimizer.js";
import { restoreStored } from "./stored/restore.js";
import type { StoredOptimizer } from "./stored/stored-optimizer.js";
import { storedRule } from "./stored/stored-rule.js";

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
  /** Its rule's name, as configurations and state files have it. */
  readonly kind: string;
  readonly model: ParameterSet;
  /** @internal What it was made of. */
  readonly choice: Record<string, unknown> & { type: string };
  /** η of a step that names none. */
  learningRate: number;
  /** Whether there is a P that `preconditioner` can give. */
  readonly hasMetric: boolean;
  /** Whether Δ costs more than reading the state: who uses one several times does well to have it stored. */
  readonly isWhole: boolean;

  readonly #rule: OptimizerRule;
  /** Whether its state came without the last gradient, which Δ is made of. */
  #awaitsGradient = false;
  readonly #stabilityGain: number | undefined;
  /** Whether P = 1. */
  readonly #plain: boolean;
  /** Of each parameter, in units of the optimizer's η: its group's ratio times γ. */
  readonly #largestDecay: number;

  /** @internal */
  constructor(model: ParameterSet, options: OptimizerOptions, rule: OptimizerRule) {
    checkInstance(model, "model", ParameterSet, "a Model");
    const given = checkOptions(options, "options");
    const { rules, of, own } = rule.native(readOptions(z.object(rule.options), given), model.parameters);
    const { learningRate, groups } = checkOptimizerOptions(model, given, rule.weightDecay, own);
    super(native().createOptimizer(model.handle, groups, rules, of ?? model.parameters.map(() => 0)));
    this.#rule = rule;
    this.kind = rule.type;
    this.choice = { weightDecay: rule.weightDecay, ...given, type: rule.type };
    this.model = model;
    this.learningRate = learningRate;
    this.hasMetric = rule.metric !== null;
    this.isWhole = rule.isWhole ?? false;
    this.#plain = rule.metric === "identity" && groups.learningRateRatio.every((ratio) => ratio === 1);
    this.#stabilityGain = rule.stabilityGain(options)?.value;
    const decays = model.parameters.map(({ trainable }, i) =>
      trainable ? (groups.weightDecay[i] as number) * (groups.learningRateRatio[i] as number) : 0,
    );
    this.#largestDecay = decays.reduce((a, b) => Math.max(a, b), 0);
  }

  /** Gradients accumulated so far: the t of bias corrections. */
  get steps(): number {
    return this.handle.steps;
  }

  /**
   * Takes a gradient into the state. The weights stay as they are.
   *
   * @throws AbortError: the state is as it was. A signal that comes once the state is changing, a fraction of a second for each
   *   100 M weights, comes too late: the call runs to its end.
   */
  async accumulate(gradient: Gradient | Direction, options: SignalOptions = {}): Promise<void> {
    const given =
      gradient instanceof Direction ? gradient : (checkOptions(gradient, "gradient").gradient as unknown);
    const { handle } = checkInstance(
      given,
      "gradient",
      Direction,
      "a Direction or the result of model.gradient",
    );
    await stoppable(options, (cancel) => this.handle.accumulate(handle, cancel), this.model.handle);
    this.#awaitsGradient = false;
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
    const { weightDecay = true, ...given } = checkOptions(options, "options");
    const decay = checkBoolean(weightDecay, "options.weightDecay");
    const { signal, ...pass } = readGradientPass(given);
    const handle = checkInstance(batch, "batch", Batch, "a Batch").handle;
    const known = await withSignal(signal, (cancel) =>
      this.handle.accumulateFrom(handle, { ...pass, weightDecay: decay, cancel }),
    );
    this.#awaitsGradient = false;
    return { ...known, slope: known.slopes.reduce((sum, part) => sum + part, 0), batch };
  }

  /**
   * Δ of the current state: the step is θ − η·Δ. Each parameter's part is scaled by its learning rate over the
   * optimizer's. With `weightDecay: false` the decay's part γθ is left out. With `stored: false` it takes no memory: it is made
   * of the state and the weights wherever it is used, with the same bits, and is good until either changes.
   *
   * @throws CriticalSharpnessError `ERR_NO_GRADIENT` before the first gradient; AbortError.
   */
  async direction(
    options: SignalOptions & { weightDecay?: boolean; stored?: boolean } = {},
  ): Promise<Direction> {
    const { weightDecay = true, stored = true } = checkOptions(options, "options");
    const checked = {
      weightDecay: checkBoolean(weightDecay, "options.weightDecay"),
      stored: checkBoolean(stored, "options.stored"),
    };
    this.#requireGradient();
    const handle = await stoppable(
      options,
      (cancel) => this.handle.direction({ ...checked, ...cancel }),
      this.model.handle,
    );
    return Direction.of(this.model, handle);
  }

  /**
   * The diagonal P, one positive number a weight, with Δ = P⁻¹·momentum where no decay is in Δ; a group's learning rate over the
   * optimizer's divides it. Null where P = 1.
   *
   * @throws CriticalSharpnessError `ERR_NO_GRADIENT` before the first gradient, `ERR_NO_METRIC` where the rule has no P
   *   (`hasMetric`); AbortError.
   */
  async preconditioner(options: SignalOptions = {}): Promise<Direction | null> {
    requireMetric(this);
    if (this.#plain && this.steps > 0) return null;
    return Direction.of(
      this.model,
      await stoppable(options, (cancel) => this.handle.preconditioner(cancel), this.model.handle),
    );
  }

  /**
   * What λmax(P⁻¹H), or λmax(H) where P = 1, is compared with: c·(2/η − γ), where c is (1+β₁)/(1−β₁) for AdamW, 1+μ for SGD
   * with momentum and (1+μ)/(1+2μ) in Nesterov's form. Null where there is no such number: of a rule whose step does not shrink
   * with the gradient no quadratic is unstable.
   *
   * With parameter groups, let D be the diagonal of each weight's γ times its learning rate over η. On a quadratic, with P and D
   * fixed, training is stable just if λmax(P^(−½)HP^(−½)/c + D) < 2/η: an eigenvalue of the linear recursion leaves the unit
   * circle at −1 and nowhere else. Where D is not γ·1 no one number says that of λmax(P⁻¹H). This one, with the largest entry of D
   * for γ, is the most that is stable whatever the eigenvectors are; from c·(2/η − the smallest entry) on none is.
   *
   * @param learningRate η, > 0; default: the optimizer's
   */
  threshold(learningRate: number = this.learningRate): number | null {
    const eta = checkNumber(learningRate, "learningRate", { above: 0 });
    return this.#stabilityGain === undefined ? null : this.#stabilityGain * (2 / eta - this.#largestDecay);
  }

  /**
   * θ ← θ − η·Δ, with the same bits as the direction says.
   *
   * @throws AbortError: every weight is as it was. A signal that comes once weights are changing, a fraction of a second for each
   *   100 M of them, comes too late: the step is taken to its end.
   */
  async step(options: SignalOptions & { learningRate?: number } = {}): Promise<void> {
    const { learningRate = this.learningRate } = checkOptions(options, "options");
    const eta = checkNumber(learningRate, "options.learningRate", { minimum: 0 });
    this.#requireGradient();
    await stoppable(options, (cancel) => this.handle.step(eta, cancel), this.model.handle);
  }

  /** Writes the state as a safetensors file: `<role>.<parameter>` for each state tensor. @throws AbortError: no file is left. */
  async save(file: string, options: SignalOptions = {}): Promise<void> {
    await writeState(checkString(file, "file"), this, ownSignal(signalOf(options), this.model.handle));
  }

  /**
   * Takes the state from a file that `save` wrote for the same kind of optimizer and model, or from what an optimizer of PyTorch's
   * has left (see `loadOptimizer`), whose settings are not looked at.
   *
   * @throws CriticalSharpnessError `ERR_OPTIMIZER_STATE`, `ERR_TORCH_FILE`, AbortError: the state is as it was.
   */
  async load(place: string, options: SignalOptions = {}): Promise<void> {
    const signal = ownSignal(signalOf(options), this.model.handle);
    throwIfAborted(signal);
    const found = await locateState(checkString(place, "place"));
    if (found.format === "own") {
      await readState(found.place, this, signal);
      this.#awaitsGradient = false;
      return;
    }
    const stored = await readStoredOptimizer(found, signal);
    storedRule(stored, [this.#rule]);
    await Optimizer.restore(this, stored, parameterOrder(stored, this.model, undefined), signal);
  }

  /** @internal Takes a state of PyTorch's. `order`: of each parameter of each group its place in the model. */
  static async restore(
    optimizer: Optimizer,
    stored: StoredOptimizer,
    order: readonly (readonly number[])[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { handle, model } = optimizer;
    const to = { handle, model, rule: optimizer.#rule };
    optimizer.#awaitsGradient = await restoreStored(to, stored, order, signal);
  }

  #requireGradient(): void {
    if (!this.#awaitsGradient) return;
    throw new CriticalSharpnessError(
      "ERR_NO_GRADIENT",
      `Expected a gradient after the state of a file for the Δ of "${this.kind}", which is made of the last one, but received none`,
    );
  }
}

/** @throws CriticalSharpnessError `ERR_NO_METRIC` where the optimizer's rule has no P. */
export function requireMetric({ hasMetric, kind }: Optimizer): void {
  if (hasMetric) return;
  throw new CriticalSharpnessError(
    "ERR_NO_METRIC",
    `Expected an optimizer whose Δ is P⁻¹·momentum for a preconditioned Hessian but received "${kind}", which has no P: ` +
      "ask for λmax(H), without a preconditioner",
  );
}
