import path from "node:path";
import type { Direction, Model } from "../../models/index.js";
import { makeOptimizer, type Optimizer, type OptimizerChoice } from "../../optimizers/index.js";

/** An optimizer for each ratio of a mixture: a state of its own each. */
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

  /** @param reuse takes a file that has the same, if there is such */
  async save(folder: string, reuse: ((file: string) => Promise<void>) | undefined): Promise<void> {
    for (const [place, optimizer] of this.#optimizers.entries())
      if (reuse) await reuse(stateFile(place));
      else await optimizer.save(path.join(folder, stateFile(place)));
  }

  async load(folder: string): Promise<void> {
    for (const [place, optimizer] of this.#optimizers.entries())
      await optimizer.load(path.join(folder, stateFile(place)));
  }

  #at(place: number): Optimizer {
    return this.#optimizers[place] as Optimizer;
  }

  [Symbol.dispose](): void {
    for (const optimizer of this.#optimizers) optimizer.dispose();
  }
}

const stateFile = (place: number) => `optimizer-${place}.safetensors`;
