import path from "node:path";
import * as z from "zod";
import { openData } from "../../data/index.js";
import type { Batch } from "../../models/index.js";
import { ruleOf } from "../../optimizers/index.js";
import { readOptions } from "../../options/index.js";
import {
  type RankOptions,
  Run,
  type RunOptions,
  rankOptions,
  runFiles,
  runOptions,
  StateFolder,
  takeBatch,
} from "../../runs/index.js";
import { loadWeights } from "../model-source.js";
import { closeData, TrainingData } from "../training-data.js";
import { answerOf, type CheckAnswer } from "./answer.js";
import { BatchLines, type CheckSubject, type Cost, expectedSteps } from "./batches.js";
import { type CheckConfiguration, type CheckConfigurationInput, parseCheck } from "./check-configuration.js";
import { type CheckRecord, type checkRecords, sortRecords } from "./check-records.js";
import { checkKind } from "./index.js";
import { openBatches } from "./measured-batches.js";
import { askedRate, findState, Moments, weightsOf } from "./moments.js";
import { tryWarmup } from "./trial.js";

export type CheckEvent =
  | { type: "start"; directory: string }
  /** `done` of the `total` batches whose gradients fill the moments. */
  | { type: "accumulated"; done: number; total: number }
  | CheckRecord;

const checkOptions = z.strictObject({ ...runOptions<CheckEvent>(), ...rankOptions });

export interface CheckOptions extends RunOptions<CheckEvent>, RankOptions {}

export interface CheckResult extends CheckAnswer {
  directory: string;
}

type CheckRun = Run<CheckEvent, typeof checkRecords>;

/** What a check needs to go on: what comes before its batches, and before its trial. */
interface CheckState {
  version: 1;
  done: "moments" | "batches";
  /** Lines of the log. */
  records: number;
  cost: Cost;
  seconds: number;
}

const momentsFile = "moments.safetensors";

/**
 * Compares a learning rate with the critical one of the next update, at a model's weights, on its data: of several batches alone and
 * together, of held-out ones, and along a short trial warm-up, after which the weights are what they were. Into a directory:
 * `config.json` and `metrics.jsonl`. Stopped or killed at any moment and called again, it goes on, and the records are the same, bit
 * for bit, but for the seconds.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_RUN_DIRECTORY` (the directory has another run), `ERR_RUN_LOCKED`, `ERR_DATA`,
 *   `ERR_FILE`, `ERR_OPTIMIZER_STATE`, `ERR_NON_FINITE_LOSS`; AbortError.
 */
export async function checkLearningRate(
  configuration: CheckConfigurationInput,
  options: CheckOptions,
): Promise<CheckResult> {
  const checked = readOptions(checkOptions, options);
  const parsed = parseCheck(configuration);
  await using run = await Run.open<CheckEvent, CheckConfiguration, typeof checkRecords>(
    checkKind,
    parsed,
    checked,
  );
  await run.tell({ type: "start", directory: run.directory });
  const records = await new Check(run, parsed).records();
  // The question is the first record, and batches come before the end.
  const sorted = sortRecords(records) as NonNullable<ReturnType<typeof sortRecords>>;
  return { directory: run.directory, ...answerOf(sorted, parsed) };
}

/** A check that is under way. */
class Check {
  readonly #run: CheckRun;
  readonly #configuration: CheckConfiguration;
  readonly #state: StateFolder<CheckState>;
  readonly #records: CheckRecord[] = [];
  readonly #began = performance.now();
  /** Seconds that it took before it was stopped. */
  #before = 0;

  constructor(run: CheckRun, configuration: CheckConfiguration) {
    this.#run = run;
    this.#configuration = configuration;
    this.#state = new StateFolder(run.directory, runFiles.state, ({ version }) => version === 1, run.group);
  }

  /** All records, those that are missing measured. */
  async records(): Promise<CheckRecord[]> {
    const state = await this.#state.find();
    this.#before = state?.seconds ?? 0;
    const isOver = await this.#open(state);
    if (!isOver) await this.#measure(state);
    await this.#state.remove();
    return this.#records;
  }

  /** Opens the log behind what the state says, or behind the end. */
  async #open(state: CheckState | undefined): Promise<boolean> {
    const recorded: CheckRecord[] = [];
    for await (const record of this.#run.recorded()) recorded.push(record);
    const isOver = recorded.some(({ type }) => type === "end");
    const relied = isOver ? Infinity : (state?.records ?? 0);
    // Every rank goes on from them; the first one alone has the log.
    this.#records.push(...recorded.slice(0, relied));
    let taken = 0;
    await this.#run.openLog({ take: () => taken++ < relied, relied: isOver ? 0 : relied });
    return isOver;
  }

  async #record(record: CheckRecord): Promise<void> {
    await this.#run.throwIfStopped();
    await this.#run.record(record);
    this.#records.push(record);
  }

  async #measure(state: CheckState | undefined): Promise<void> {
    const configuration = this.#configuration;
    const { signal } = this.#run;
    using model = await loadWeights(configuration, undefined, this.#run.group);
    const opened = await openData(configuration.data, configuration.seed);
    try {
      const moments = new Moments(
        model,
        configuration.optimizer,
        await findState(weightsOf(configuration), configuration.optimizerState),
      );
      const cost = state?.cost ?? { gradients: 0, forwardPasses: 0 };
      const { rate, source, optimizer } = await askedRate(moments, configuration, signal);
      const subject = { model, moments, configuration, learningRate: rate, cost, signal };
      const data = TrainingData.over(opened, configuration, model.config);
      await using _ = data;
      const measured = await openBatches(opened, configuration, model);
      await using __ = measured.data;
      const isAccumulated =
        moments.found === undefined && ruleOf(configuration.optimizer).hasMemory(configuration.optimizer);
      if (!state) {
        await this.#record({
          ...{ type: "question", learningRate: rate, learningRateSource: source },
          parameterCount: model.parameterCount,
          moments: moments.found ? "stored" : isAccumulated ? "accumulated" : "none",
          optimizer,
          optimizerState: moments.found ? path.basename(moments.found.place) : null,
          rows: measured.rows,
          expectedSteps: expectedSteps(configuration, {
            accumulated: isAccumulated ? configuration.accumulate : 0,
            batches: measured.batches.length,
            joins: measured.join !== null,
          }),
        });
      }
      // The batches that are measured come first.
      const batchAt = (index: number) => data.training(measured.batches.length + index);
      if (isAccumulated) {
        moments.file = path.join(this.#state.folder, momentsFile);
        if (!state) await this.#accumulate(subject, batchAt);
      }
      if (state?.done !== "batches") {
        for await (const record of new BatchLines(subject, measured.rows).measure(
          measured.batches,
          measured.join,
        ))
          await this.#record(record);
        await this.#save("batches", cost, isAccumulated);
      }
      const taken = isAccumulated ? configuration.accumulate : 0;
      for await (const record of tryWarmup(subject, (step) => batchAt(taken + step)))
        await this.#record(record);
      await this.#record({ type: "end", ...cost, seconds: this.#seconds() });
      await this.#run.sync();
    } finally {
      await closeData(opened);
    }
  }

  /** Gradients at weights that do not move fill the moments. */
  async #accumulate(subject: CheckSubject, batchAt: (index: number) => Promise<Batch>): Promise<void> {
    const { model, moments, configuration, cost, signal } = subject;
    const {
      accumulate: total,
      batch: shape,
      recompute,
      gradientClipping: clipping,
      weightDecay,
    } = configuration;
    const how = { microBatch: shape.microBatch, recompute, clipping, weightDecay, signal };
    const { file } = moments;
    moments.file = undefined;
    using optimizer = await moments.optimizer(signal);
    for (let done = 1; done <= total; done++) {
      using _ = await takeBatch({ model, optimizer }, await batchAt(done), how);
      cost.gradients++;
      await this.#run.throwIfStopped();
      await this.#run.tell({ type: "accumulated", done, total });
    }
    moments.file = file;
    await this.#state.save(async (folder) => {
      await optimizer.save(path.join(folder, momentsFile), { signal });
      return this.#now("moments", cost);
    });
  }

  async #save(done: CheckState["done"], cost: Cost, withMoments: boolean): Promise<void> {
    await this.#run.sync();
    await this.#state.save(async (folder) => {
      if (withMoments) await this.#state.reuse(momentsFile, folder);
      return this.#now(done, cost);
    });
  }

  #now(done: CheckState["done"], cost: Cost): CheckState {
    return { version: 1, done, records: this.#run.count, cost: { ...cost }, seconds: this.#seconds() };
  }

  #seconds(): number {
    return this.#before + (performance.now() - this.#began) / 1000;
  }
}
