import { existsSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { type OpenedData, openData } from "../../data/index.js";

import { AbortError } from "../../errors.js";
import { Direction, loadModel, type Model, parameterParts } from "../../models/index.js";
import { count, flags, name, type OptionsOf, readOptions } from "../../options/index.js";
import { Run, type RunOptions, runFiles, runOptions, StateFolder } from "../../runs/index.js";
import { modelOptionsOf } from "../configuration.js";
import { closeData, TrainingData } from "../training-data.js";
import { type ListedCheckpoint, listCheckpoints } from "./checkpoint-list.js";
import { checkFrozenOptions } from "./frozen-options.js";
import { FrozenSeries, type FrozenState } from "./frozen-sharpness.js";
import { checkpointsKind } from "./index.js";
import {
  parseSeries,
  type SeriesConfiguration,
  type SeriesConfigurationInput,
  type StoredSeries,
} from "./series-configuration.js";
import {
  type BatchRecord,
  batchRecord,
  type CheckpointRecord,
  checkpointRecord,
  type FailureRecord,
  type SeriesRecord,
  type seriesRecords,
} from "./series-records.js";

export type SeriesEvent =
  /** `done` checkpoints were measured before. */
  | { type: "start"; checkpoints: readonly ListedCheckpoint[]; done: number; directory: string }
  /** What comes: batches that are measured, along Δ and each part of it. A line takes some three forward passes. */
  | { type: "plan"; checkpoint: ListedCheckpoint; batches: number; lines: number }
  /** `done` of the `total` batches of a checkpoint. */
  | { type: "progress"; checkpoint: ListedCheckpoint; done: number; total: number; loss: number }
  | SeriesRecord;

const listed = z.custom<string | ListedCheckpoint>(
  (value) => name.or(z.looseObject({ directory: name })).safeParse(value).success,
  "a folder, or what findCheckpoints found of it",
);

const seriesShape = {
  /** Folders in their order, or what `findCheckpoints` found. More may come when a series goes on. */
  checkpoints: z.array(listed).min(1).readonly(),
  /**
   * After how many batches the state is written from which a series goes on: once or twice the model's size. Default 1: a kill
   * loses one batch.
   */
  saveEvery: count
    .default(1)
    .describe(
      "After how many batches that is written from which a stopped series goes on: once or twice the model's size.",
    )
    .register(flags, { flag: "--save-every <n>" }),
};

export const seriesOptions = z.strictObject({ ...runOptions<SeriesEvent>(), ...seriesShape });

export interface SeriesOptions extends RunOptions<SeriesEvent>, OptionsOf<typeof seriesShape> {}

export interface SeriesResult {
  directory: string;
  /** Of all checkpoints that are measured, in their order. */
  checkpoints: (ListedCheckpoint & CheckpointRecord)[];
  /** Checkpoints that could not be measured. */
  failures: (ListedCheckpoint & FailureRecord)[];
}

/**
 * λc over a series of checkpoints, each with its weights frozen (see `frozenSharpness`) and on the same batches, into a
 * directory: `config.json` and `metrics.jsonl`, a line at a time. Killed at any moment and called again, it goes on with
 * the batch at which it was, and the records are the same, bit for bit, but for the seconds. A checkpoint that cannot
 * be measured is recorded as a failure, and the series goes on.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_RUN_DIRECTORY` (the directory has another series), `ERR_RUN_LOCKED`, `ERR_DATA`,
 *   `ERR_FILE`; AbortError.
 */
export async function measureCheckpoints(
  configuration: SeriesConfigurationInput,
  options: SeriesOptions,
): Promise<SeriesResult> {
  const checked = readOptions(seriesOptions, options);
  const checkpoints = listedOf(checked.checkpoints);
  const parsed = { ...(await parseSeries(configuration, checkpoints)), checkpoints };
  await using run = await Run.open<SeriesEvent, StoredSeries, typeof seriesRecords>(
    checkpointsKind,
    parsed,
    checked,
  );
  const measured = new Map<string, CheckpointRecord>();
  const failures = new Map<string, FailureRecord>();
  await openLog(run, measured);
  const done = checkpoints.filter((c) => measured.has(c.directory)).length;
  await run.tell({ type: "start", checkpoints, done, directory: run.directory });
  if (done < checkpoints.length) {
    const opened = await openData(parsed.data, parsed.seed);
    try {
      for (const checkpoint of checkpoints) {
        if (measured.has(checkpoint.directory)) continue;
        const task = { checkpoint, opened, configuration: parsed, run, saveEvery: checked.saveEvery };
        for (const record of await measureOrFail(task)) {
          await run.record(record);
          if (record.type === "checkpoint") measured.set(record.checkpoint, record);
          else if (record.type === "failure") failures.set(record.checkpoint, record);
        }
        await run.sync();
        await stateOf(run.directory).remove();
      }
    } finally {
      await closeData(opened);
    }
  }
  const found = <R>(records: Map<string, R>) =>
    checkpoints.flatMap((c) => {
      const record = records.get(c.directory);
      return record ? [{ ...c, ...record }] : [];
    });
  return { directory: run.directory, checkpoints: found(measured), failures: found(failures) };
}

type SeriesRun = Run<SeriesEvent, typeof seriesRecords>;

/** Opens the log behind the last checkpoint of which all lines are there. */
async function openLog(run: SeriesRun, measured: Map<string, CheckpointRecord>): Promise<void> {
  let [count, whole] = [0, 0];
  for await (const record of run.recorded()) {
    count++;
    if (record.type === "checkpoint") measured.set(record.checkpoint, record);
    if (record.type !== "batch") whole = count;
  }
  let taken = 0;
  await run.openLog({ take: () => ++taken <= whole });
}

/** What a series needs to go on within a checkpoint. */
interface SeriesState {
  version: 1;
  /** The checkpoint's directory. */
  checkpoint: string;
  frozen: FrozenState;
  /** Of the batches that are measured. */
  batches: BatchRecord[];
  forwardPasses: number;
  seconds: number;
}

const stateOf = (directory: string) =>
  new StateFolder<SeriesState>(directory, runFiles.state, ({ version }) => version === 1);

interface Task {
  checkpoint: ListedCheckpoint;
  opened: OpenedData;
  configuration: SeriesConfiguration;
  run: SeriesRun;
  saveEvery: number;
}

async function measureOrFail(task: Task): Promise<SeriesRecord[]> {
  // What is told of a batch may throw: that ends the series, it is not the checkpoint's fault.
  let thrown: { error: unknown } | undefined;
  const tell = async (event: SeriesEvent) => {
    try {
      await task.run.tell(event);
    } catch (error) {
      thrown = { error };
      throw error;
    }
  };
  try {
    return await measureCheckpoint(task, tell);
  } catch (error) {
    if (thrown) throw thrown.error;
    if (error instanceof AbortError) throw error;
    const { code, message } = error as Error & { code?: unknown };
    const { directory } = task.checkpoint;
    return [
      { type: "failure", checkpoint: directory, code: typeof code === "string" ? code : null, message },
    ];
  }
}

/** The records of a checkpoint: one for each of its batches, and its own. */
async function measureCheckpoint(
  { checkpoint, configuration, opened, run, saveEvery }: Task,
  tell: (event: SeriesEvent) => Promise<void>,
): Promise<SeriesRecord[]> {
  const started = performance.now();
  const { optimizer, search, batch, weightDecay, directional, accumulate, measure } = configuration;
  const { recompute, hessian } = configuration;
  const { directory } = checkpoint;
  const { program } = configuration;
  const options = modelOptionsOf(configuration);
  using model =
    program === null
      ? await loadModel(directory, options)
      : await loadModel(program, { ...options, weights: directory });
  await using data = TrainingData.over(opened, configuration, model.config);
  using given =
    configuration.direction === null ? undefined : await Direction.load(configuration.direction, model);
  const optimizerState = given ? undefined : storedState(configuration, checkpoint);
  const asked = checkFrozenOptions({
    model,
    batches: (index: number) => data.training(index + 1),
    ...(given ? { direction: given } : { optimizer, optimizerState }),
    ...{ accumulate, measure, weightDecay, directional, recompute },
    parts: partsOf(model, configuration),
    hessian: hessian ?? undefined,
    ...search,
    microBatch: batch.microBatch,
    signal: run.signal,
  });
  const folder = stateOf(run.directory);
  const found = await folder.find();
  const state = found?.checkpoint === directory ? found : undefined;
  using series = await FrozenSeries.begin(asked);
  if (state) await series.restore(folder.folder, state.frozen);
  const batches = state?.batches ?? [];
  let forwardPasses = state?.forwardPasses ?? 0;
  const seconds = () => (state?.seconds ?? 0) + (performance.now() - started) / 1000;
  const skipped = given || optimizerState !== undefined ? accumulate : 0;
  const total = measure + accumulate - skipped;
  let done = (state?.frozen.done ?? skipped) - skipped;
  await tell({ type: "plan", checkpoint, batches: measure, lines: 1 + asked.parts.length });
  for (let event = await series.next(); event; event = await series.next()) {
    done++;
    if (event.type === "measured") {
      batches.push(batchRecord(directory, event));
      const lines = [event.measurement, ...Object.values(event.parts)];
      forwardPasses += lines.reduce((sum, line) => sum + line.forwardPasses, 0);
    }
    if (done % saveEvery === 0 && done < total)
      await folder.save(async (place) => ({
        ...{ version: 1, checkpoint: directory, batches, forwardPasses, seconds: seconds() },
        frozen: await series.save(place),
      }));
    await tell({ type: "progress", checkpoint, done, total, loss: event.loss });
  }
  return [
    ...batches,
    checkpointRecord(batches, asked, {
      checkpoint: directory,
      parameterCount: model.parameterCount,
      direction: given ? "given" : optimizerState === undefined ? "accumulated" : "stored",
      accumulated: series.accumulated,
      forwardPasses,
      seconds: seconds(),
    }),
  ];
}

function storedState(
  { optimizerState }: SeriesConfiguration,
  { directory }: ListedCheckpoint,
): string | undefined {
  if (optimizerState === null) return undefined;
  const file = path.join(directory, optimizerState);
  return existsSync(file) ? file : undefined;
}

function partsOf(model: Model, { parts }: SeriesConfiguration): Record<string, string[]> {
  return Object.assign({}, ...parts.map((by) => parameterParts(model.parameters, by)));
}

/** Paths are listed; what was listed already keeps its name, steps and tokens. */
function listedOf(checkpoints: SeriesOptions["checkpoints"]): ListedCheckpoint[] {
  const found = new Map(checkpoints.flatMap((c) => (typeof c === "string" ? [] : [[c.directory, c]])));
  const directories = checkpoints.map((c) => (typeof c === "string" ? c : c.directory));
  return listCheckpoints(directories).map((c) => found.get(c.directory) ?? c);
}
