import path from "node:path";
import { CriticalWarmup, type CriticalWarmupState, makeOptimizer } from "../../optimizers/index.js";
import type { Group } from "../../ranks/index.js";
import { type CheckedRunOptions, Run, runFiles, StateFolder } from "../../runs/index.js";
import { type MeterState, SharpnessMeter } from "../../sharpness/index.js";
import { loadWeights } from "../model-source.js";
import { TrainingData } from "../training-data.js";
import { trainKind } from "./index.js";
import type { TrainConfiguration } from "./train-configuration.js";
import type { MetricsRecord, StepRecord, trainRecords, ValidationRecord } from "./train-records.js";
import { CurvatureWatch, type Training } from "./training-step.js";

export type TrainEvent =
  /** `step` steps are made already. */
  | { type: "start"; step: number; steps: number; parameterCount: number; directory: string }
  | MetricsRecord
  | { type: "checkpoint"; step: number };

/** What a run needs besides weights and optimizer state to go on after a step. */
interface TrainState {
  version: 1;
  /** Steps made. */
  step: number;
  /** Tokens, or examples, seen. */
  tokens: number;
  meter: MeterState | null;
  warmup?: CriticalWarmupState | null;
  /** Lines of the log; those of older versions do not say. */
  records?: number;
}

const accepts = ({ version, step, tokens }: Partial<TrainState>) =>
  version === 1 && Number.isSafeInteger(step) && Number.isSafeInteger(tokens);

/** The folder of a run from which it goes on: a model's directory, with the optimizer's state beside. */
export const checkpointOf = (directory: string, group?: Group): StateFolder<TrainState> =>
  new StateFolder<TrainState>(directory, runFiles.checkpoint, accepts, group);

const optimizerFile = "optimizer.safetensors";

/** A run that is under way: everything that it holds, as it was after its last step. */
export class TrainSession implements AsyncDisposable {
  readonly run: Run<TrainEvent, typeof trainRecords>;
  readonly training: Training;
  readonly data: TrainingData;
  readonly #resources: Resources;
  readonly #checkpoint: StateFolder<TrainState>;
  /** Steps made. */
  step = 0;
  /** Tokens, or examples, seen. */
  tokens = 0;
  /** The last records of their kind. */
  lastStep: StepRecord | undefined;
  lastValidation: ValidationRecord | undefined;
  #saved = 0;

  private constructor(
    run: Run<TrainEvent, typeof trainRecords>,
    parts: { training: Training; data: TrainingData; resources: Resources },
    checkpoint: StateFolder<TrainState>,
  ) {
    this.run = run;
    this.training = parts.training;
    this.data = parts.data;
    this.#resources = parts.resources;
    this.#checkpoint = checkpoint;
  }

  /** Starts a run, or goes on from the checkpoint in its directory. */
  static async open(
    configuration: TrainConfiguration,
    options: CheckedRunOptions<TrainEvent>,
  ): Promise<TrainSession> {
    const resources = new Resources();
    try {
      const run = resources.own(
        await Run.open<TrainEvent, TrainConfiguration, typeof trainRecords>(
          trainKind,
          configuration,
          options,
        ),
      );
      const checkpoint = checkpointOf(options.directory, options.group);
      const state = await checkpoint.find();
      const model = resources.own(
        await loadWeights(configuration, state && checkpoint.folder, options.group),
      );
      const data = resources.own(await TrainingData.open(configuration, model.config));
      const optimizer = resources.own(makeOptimizer(model, configuration.optimizer));
      const curvature = resources.own(new CurvatureWatch(configuration));
      const { every: _, ...search } = configuration.measure ?? { every: 0 };
      const meter = new SharpnessMeter({ ...search, microBatch: configuration.batch.microBatch });
      const warmup = warmupOf(configuration);
      if (state) {
        await optimizer.load(path.join(checkpoint.folder, optimizerFile));
        await curvature.load(checkpoint.folder, model);
        if (state.meter) meter.restore(state.meter);
        if (state.warmup) warmup?.restore(state.warmup);
      }
      const training = { configuration, model, optimizer, meter, warmup, curvature };
      const session = new TrainSession(run, { training, data, resources }, checkpoint);
      await session.#goOn(state);
      return session;
    } catch (error) {
      await resources[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #goOn(state: TrainState | undefined): Promise<void> {
    const { step, tokens, records = 0 } = state ?? { step: 0, tokens: 0 };
    await this.run.openLog({
      relied: records,
      take: (record) => {
        if (record.step > step) return false;
        this.#remember(record);
        return true;
      },
    });
    this.step = step;
    this.tokens = tokens;
    this.#saved = step;
    // It may have been killed before it kept what it had saved.
    if (state) await this.#keep();
  }

  /** Writes a record. */
  async record(record: MetricsRecord): Promise<void> {
    await this.run.record(record);
    this.#remember(record);
  }

  #remember(record: MetricsRecord): void {
    if (record.type === "step") this.lastStep = record;
    if (record.type === "validation") this.lastValidation = record;
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
  async save(): Promise<void> {
    const { step, tokens } = this;
    if (this.#saved === step) return;
    const { model, optimizer, curvature, meter, warmup } = this.training;
    await this.run.sync();
    await this.#checkpoint.save(async (folder) => {
      await model.save(folder);
      await optimizer.save(path.join(folder, optimizerFile));
      await curvature.save(folder);
      const learnt = { meter: meter.state(), warmup: warmup?.state() ?? null };
      return { version: 1, step, tokens, ...learnt, records: this.run.count };
    });
    await this.#keep();
    this.#saved = step;
    await this.run.tell({ type: "checkpoint", step });
  }

  /** Keeps the current checkpoint, as `checkpoints/step100`. */
  async #keep(): Promise<void> {
    if (!this.training.configuration.checkpoint.keep) return;
    await this.#checkpoint.keep(path.join(this.run.directory, runFiles.checkpoints, `step${this.step}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }
}

function warmupOf({ schedule }: TrainConfiguration): CriticalWarmup | null {
  if (schedule.type !== "critical") return null;
  const { fraction, smoothing } = schedule;
  return new CriticalWarmup({ fraction, smoothing });
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
