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
import { badConfiguration } from "../../options/index.js";
import { parseCheckpointName } from "../checkpoints/checkpoint-list.js";
import { describeOptimizer } from "../describe.js";
import { trainingFacts } from "../training-facts.js";
import type { CheckConfiguration } from "./check-configuration.js";

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

/** Where the weights lie, beside which there may be an optimizer's state; undefined of a model that is made. */
export function weightsOf({ model }: Pick<CheckConfiguration, "model">): string | undefined {
  if (!("directory" in model)) return undefined;
  const { directory, adapter } = model as { directory: string; adapter?: unknown };
  return typeof adapter === "string" ? adapter : directory;
}

/**
 * η that is asked about and where it stands, and in words what makes Δ.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION` where neither the configuration nor the run's files say a learning rate.
 */
export async function askedRate(
  moments: Moments,
  configuration: CheckConfiguration,
  signal: AbortSignal | undefined,
): Promise<{ rate: number; source: string; optimizer: string }> {
  const isForeign = moments.found !== undefined && moments.found.format !== "own";
  using optimizer = isForeign ? await moments.optimizer(signal) : undefined;
  const directory = weightsOf(configuration);
  const described = describeOptimizer(optimizer?.choice ?? configuration.optimizer);
  const { learningRate: given } = configuration;
  if (given !== null) return { rate: given, source: "given", optimizer: described };
  const stored = optimizer && {
    learningRate: optimizer.learningRate,
    source: path.basename(moments.found?.place as string),
  };
  const facts =
    directory === undefined
      ? undefined
      : await trainingFacts(
          { directory, ...parseCheckpointName(path.basename(directory)) },
          { learningRate: null, schedule: null, steps: null },
          stored,
        );
  const rate = facts?.learningRate ?? 0;
  if (rate > 0) return { rate, source: facts?.learningRateSource as string, optimizer: described };
  const received = facts?.learningRate === 0 ? "0, at the end of its schedule" : "none in the run's files";
  throw badConfiguration(
    `Expected a learning rate to ask about for learningRate but received ${received}: give one, --learning-rate 3e-4`,
    undefined,
  );
}
