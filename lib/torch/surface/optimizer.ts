import type { NativeCancelOptions, NativeDisposable } from "./handle.js";
import type { NativeBatch, NativePassOptions } from "./model.js";
import type { NativeVector } from "./vector.js";

export interface NativeOptimizerGroup {
  /** Per parameter: this parameter's learning rate over the optimizer's. */
  learningRateRatio: readonly number[];
  /** Per parameter: decoupled decay γ. */
  weightDecay: readonly number[];
}

/** An update rule of native/core/update by its name, with all of its options. */
export interface NativeRule {
  name: string;
  options: Readonly<Record<string, number | boolean>>;
}

export interface NativeOptimizer extends NativeDisposable {
  /** Gradients accumulated so far. */
  readonly steps: number;
  /** Of each parameter, what its state tensors are called. */
  readonly roles: readonly (readonly string[])[];
  /** A token that is set once the state has begun to change comes too late. */
  accumulate(gradient: NativeVector, options?: NativeCancelOptions): Promise<void>;
  /**
   * The same of a batch's gradient, which goes into the state a parameter at a time. `slopes`: each parameter's part of ∇L·Δ,
   * with Δ of the state thereafter. Rejects with `ERR_NON_FINITE_LOSS` before anything changes; one that ends early otherwise
   * may leave a state that only `restore` mends (`ERR_OPTIMIZER_STATE`).
   */
  accumulateFrom(
    batch: NativeBatch,
    options: NativePassOptions & { weightDecay: boolean },
  ): Promise<{ loss: number; version: number; norm: number; slopes: number[] }>;
  /** `stored`: default true. */
  direction(options: { weightDecay: boolean; stored?: boolean } & NativeCancelOptions): Promise<NativeVector>;
  preconditioner(options?: NativeCancelOptions): Promise<NativeVector>;
  /** A token that is set once the weights have begun to change comes too late. */
  step(learningRate: number, options?: NativeCancelOptions): Promise<void>;
  /** State tensors by role (`momentum`; `exp_avg`, `exp_avg_sq`): the optimizer's own memory, which changes with its state. */
  state(): Promise<Record<string, NativeVector>>;
  /** Takes the vectors' memory for its own: they are to be disposed of, and used nowhere else. */
  restore(steps: number, state: Record<string, NativeVector>): Promise<void>;
}
