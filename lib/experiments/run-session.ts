import path from "node:path";
import { SharpnessMeter } from "../measures/index.js";
import { createModel, loadModel, type Model, type ModelConfigInput } from "../models/index.js";
import {
  findCheckpoint,
  keepCheckpoint,
  loadCheckpointModel,
  loadCheckpointOptimizer,
  type RunState,
  saveCheckpoint,
} from "./checkpoint.js";
import type { TrainConfiguration } from "./configuration.js";
import { CurvatureWatch } from "./curvature-watch.js";
import { makeOptimizer } from "./make-optimizer.js";
import { MetricsLog } from "./metrics-log.js";
import { runFiles } from "./run-directory.js";
import { TrainingData } from "./training-data.js";
import type { Training } from "./training-step.js";

/** A run that is under way: everything that it holds, as it was after its last step. */
export class RunSession implements AsyncDisposable {
  readonly training: Training;
  readonly data: TrainingData;
  readonly log: MetricsLog;
  readonly #directory: string;
  readonly #resources: AsyncDisposable;
  /** Steps made. */
  step: number;
  /** Tokens, or examples, seen. */
  tokens: number;
  #saved: number;

  private constructor(
    directory: string,
    parts: { training: Training; data: TrainingData; log: MetricsLog; resources: AsyncDisposable },
    state: Pick<RunState, "step" | "tokens">,
  ) {
    this.training = parts.training;
    this.data = parts.data;
    this.log = parts.log;
    this.#directory = directory;
    this.#resources = parts.resources;
    this.step = state.step;
    this.tokens = state.tokens;
    this.#saved = state.step;
  }

  /** Starts a run in its prepared directory, or goes on from the checkpoint there. */
  static async open(directory: string, configuration: TrainConfiguration): Promise<RunSession> {
    const found = await findCheckpoint(directory);
    const resources = new Resources();
    try {
      const { dtype, device, measure } = configuration;
      const model = resources.own(
        found ? await loadCheckpointModel(found.folder, { dtype, device }) : await firstModel(configuration),
      );
      const data = resources.own(await TrainingData.open(configuration, model.config));
      const optimizer = resources.own(makeOptimizer(model, configuration.optimizer));
      if (found) await loadCheckpointOptimizer(found.folder, optimizer);
      const curvature = resources.own(new CurvatureWatch(configuration));
      if (found) await curvature.load(found.folder, model);
      const { every: _, ...search } = measure ?? { every: 0 };
      const { microBatch } = configuration.batch;
      const meter = new SharpnessMeter({ ...search, microBatch });
      const state = found?.state ?? { step: 0, tokens: 0, meter: null };
      if (state.meter) meter.restore(state.meter);
      const log = resources.own(await MetricsLog.open(path.join(directory, runFiles.metrics), state.step));
      const training = { configuration, model, optimizer, meter, curvature };
      // It may have been killed before it kept what it had saved.
      if (found && configuration.checkpoint.keep) await keepCheckpoint(directory, state.step);
      return new RunSession(directory, { training, data, log, resources }, state);
    } catch (error) {
      await resources[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Counts a step and what its batch had. */
  advance(tokens: number): void {
    this.step++;
    this.tokens += tokens;
  }

  /** Mean over the validation batches, each weighted by its tokens or examples. */
  async validationLoss(): Promise<number> {
    const { model, configuration } = this.training;
    let sum = 0;
    let count = 0;
    for (let i = 0; i < this.data.validationBatches; i++) {
      using batch = await this.data.validation(i);
      sum += batch.count * (await model.loss(batch, { microBatch: configuration.batch.microBatch }));
      count += batch.count;
    }
    return sum / count;
  }

  /** Writes a checkpoint, unless there is one of this step. */
  async save(): Promise<boolean> {
    if (this.#saved === this.step) return false;
    const meter = this.training.meter.state();
    await this.log.sync();
    await saveCheckpoint(this.#directory, this.training, {
      version: 1,
      step: this.step,
      tokens: this.tokens,
      meter,
    });
    if (this.training.configuration.checkpoint.keep) await keepCheckpoint(this.#directory, this.step);
    this.#saved = this.step;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }
}

/** Owns things and disposes of them in the opposite order: an AsyncDisposableStack, which Node has from 24 on. */
class Resources implements AsyncDisposable {
  readonly #owned: (Disposable | AsyncDisposable)[] = [];

  own<T extends Disposable | AsyncDisposable>(thing: T): T {
    this.#owned.push(thing);
    return thing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const thing of this.#owned.splice(0).reverse())
      if (Symbol.asyncDispose in thing) await thing[Symbol.asyncDispose]();
      else thing[Symbol.dispose]();
  }
}

function firstModel({ model, dtype, device }: TrainConfiguration): Promise<Model> {
  if ("directory" in model) return loadModel(model.directory as string, { dtype, device });
  const { seed, initialization, ...config } = model;
  return createModel(config as ModelConfigInput, { dtype, device, seed, initialization });
}
