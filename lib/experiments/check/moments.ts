import { stat } from "node:fs/promises";
import path from "node:path";
import type { Model } from "../../models/index.js";
import {
  type FoundState,
  findOptimizerState,
  loadOptimizer,
  locateState,
  makeOptimizer,
  type Optimizer,
  type OptimizerChoice,
} from "../../optimizers/index.js";

/** What makes Δ: an optimizer whose moments are those of a file, which is the same each time it is made. */
export class Moments {
  readonly #model: Model;
  readonly #choice: OptimizerChoice;
  /** The run's own state, if it left one. */
  readonly found: FoundState | undefined;
  /** Of moments that were accumulated here. */
  file: string | undefined;

  constructor(model: Model, choice: OptimizerChoice, found: FoundState | undefined) {
    this.#model = model;
    this.#choice = choice;
    this.found = found;
  }

  /** A new optimizer with these moments, and without a gradient after them. It belongs to the caller. */
  async optimizer(signal?: AbortSignal): Promise<Optimizer> {
    // What PyTorch leaves says what it is of.
    if (this.found && this.found.format !== "own")
      return loadOptimizer(this.found.place, this.#model, { signal });
    const optimizer = makeOptimizer(this.#model, this.#choice);
    try {
      const file = this.found?.place ?? this.file;
      if (file !== undefined) await optimizer.load(file, { signal });
      return optimizer;
    } catch (error) {
      optimizer.dispose();
      throw error;
    }
  }
}

/**
 * The optimizer's state beside weights; undefined where moments are to be accumulated.
 *
 * @param directory of the weights, or their file
 * @throws what `locateState` throws where one was named and is not there.
 */
export async function findState(
  directory: string | undefined,
  wanted: string,
): Promise<FoundState | undefined> {
  if (directory === undefined || wanted === "none") return undefined;
  if (wanted !== "auto") return locateState(path.resolve(directory, wanted));
  // A program's file, or a single file of weights, has nothing beside it that is known to be its own.
  const isFolder = await stat(directory).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  return isFolder ? findOptimizerState(directory) : undefined;
}
