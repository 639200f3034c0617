import { Direction, type Gradient, type Model } from "../models/index.js";
import type { Optimizer } from "../optimizers/index.js";
import { makeOptimizer, type OptimizerChoice } from "./make-optimizer.js";

/**
 * An optimizer for each ratio r of a mixture, all fed from the same two gradients: the mixture's is
 * r·∇L_varied + (1 − r)·∇L_rest, since a gradient is linear in the ratio. Adam's second moments are not, so that each ratio
 * keeps its own state: two vectors a ratio with AdamW, one with SGD. A state is, but for rounding, that of an optimizer
 * which was given the gradients of the mixture's own batches.
 */
export class MixOptimizers implements Disposable {
  readonly #optimizers: readonly { ratio: number; optimizer: Optimizer }[];

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: Model, choice: OptimizerChoice, ratios: readonly number[]) {
    const made: { ratio: number; optimizer: Optimizer }[] = [];
    try {
      for (const ratio of ratios) made.push({ ratio, optimizer: makeOptimizer(model, choice) });
    } catch (error) {
      for (const { optimizer } of made) optimizer.dispose();
      throw error;
    }
    this.#optimizers = made;
  }

  /** Takes the gradients of both parts of the mixture into every ratio's state. */
  async accumulate(varied: Gradient, rest: Gradient): Promise<void> {
    for (const { ratio, optimizer } of this.#optimizers) {
      using mixed = await Direction.combine([varied.gradient, rest.gradient], [ratio, 1 - ratio]);
      await optimizer.accumulate(mixed);
    }
  }

  /** Δ of the ratio at a place in the list. */
  direction(place: number, options: { weightDecay: boolean }): Promise<Direction> {
    return (this.#optimizers[place] as { optimizer: Optimizer }).optimizer.direction(options);
  }

  [Symbol.dispose](): void {
    for (const { optimizer } of this.#optimizers) optimizer.dispose();
  }
}
