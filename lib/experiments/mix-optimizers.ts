import type { Direction, Model } from "../models/index.js";
import type { Optimizer } from "../optimizers/index.js";
import { makeOptimizer, type OptimizerChoice } from "./make-optimizer.js";

/** An optimizer for each ratio of a mixture: two vectors of the model's size a ratio with AdamW, one with SGD. */
export class MixOptimizers implements Disposable {
  readonly #optimizers: readonly Optimizer[];

  /** @throws TypeError, RangeError naming the option. */
  constructor(model: Model, choice: OptimizerChoice, count: number) {
    const made: Optimizer[] = [];
    try {
      for (let place = 0; place < count; place++) made.push(makeOptimizer(model, choice));
    } catch (error) {
      for (const optimizer of made) optimizer.dispose();
      throw error;
    }
    this.#optimizers = made;
  }

  /** Takes a gradient into the state of the ratio at a place in the list. */
  async accumulate(place: number, gradient: Direction): Promise<void> {
    await this.#at(place).accumulate(gradient);
  }

  /** Δ of the ratio at a place in the list. */
  direction(place: number, options: { weightDecay: boolean }): Promise<Direction> {
    return this.#at(place).direction(options);
  }

  #at(place: number): Optimizer {
    return this.#optimizers[place] as Optimizer;
  }

  [Symbol.dispose](): void {
    for (const optimizer of this.#optimizers) optimizer.dispose();
  }
}
