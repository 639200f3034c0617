import { existsSync } from "node:fs";
import path from "node:path";
import { checkBoolean, checkOptions, checkSignal, checkString } from "../checks.js";
import type { ExampleSet, TokenStream } from "../data/index.js";
import { AbortError, expected, throwIfAborted } from "../errors.js";
import { checkCallback } from "../measures/options.js";
import { Direction, loadModel, type Model } from "../models/index.js";
import { parameterParts } from "../models/parameter-kinds.js";
import { AppendLog } from "./append-log.js";
import { type ListedCheckpoint, listCheckpoints } from "./checkpoint-list.js";
import { frozenSharpness } from "./frozen-sharpness.js";
import { openData } from "./open-data.js";
import { prepareRun, runFiles } from "./run-directory.js";
import {
  parseSeries,
  type SeriesConfiguration,
  type SeriesConfigurationInput,
} from "./series-configuration.js";
import {
  batchRecord,
  type CheckpointRecord,
  checkpointRecord,
  type FailureRecord,
  type SeriesRecord,
} from "./series-records.js";
import { closeData, TrainingData } from "./training-data.js";
import { versions } from "./versions.js";

export type SeriesEvent =
  /** `done` checkpoints were measured before. */
  | { type: "start"; checkpoints: readonly ListedCheckpoint[]; done: number; directory: string }
  /** `done` of the `total` batches of a checkpoint. */
  | { type: "progress"; checkpoint: ListedCheckpoint; done: number; total: number; loss: number }
  | SeriesRecord;

export interface SeriesOptions {
  /** The series' own directory: a new one, or that of the same configuration, whose series goes on. */
  directory: string;
  /** Folders in their order, or what `findCheckpoints` found. More may come when a series goes on. */
  checkpoints: readonly (string | ListedCheckpoint)[];
  /** Removes a series that is in the directory and starts again. */
  fresh?: boolean;
  signal?: AbortSignal;
  /** Called for each event, in order. What it throws ends the series. */
  onProgress?: (event: SeriesEvent) => void;
}

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
 * the checkpoint at which it was, and the records are the same, bit for bit, but for the seconds. A checkpoint that cannot
 * be measured is recorded as a failure, and the series goes on.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_RUN_DIRECTORY` (the directory has another series), `ERR_DATA`,
 *   `ERR_FILE`; AbortError.
 */
export async function measureCheckpoints(
  configuration: SeriesConfigurationInput,
  options: SeriesOptions,
): Promise<SeriesResult> {
  const { directory, checkpoints, fresh, signal, onProgress } = checkSeriesOptions(options);
  const checked = await parseSeries(configuration, checkpoints);
  throwIfAborted(signal);
  await prepareRun(directory, checked, { fresh, versions: await versions(), listed: { checkpoints } });
  const { log, kept } = await AppendLog.open<SeriesRecord>(path.join(directory, runFiles.metrics), whole);
  await using owned = log;
  const measured = new Map(kept.flatMap((r) => (r.type === "checkpoint" ? [[r.checkpoint, r]] : [])));
  const failures = new Map<string, FailureRecord>();
  const done = checkpoints.filter((c) => measured.has(c.directory)).length;
  onProgress({ type: "start", checkpoints, done, directory });
  if (done < checkpoints.length) {
    const opened = await openData(checked.data, checked.seed);
    try {
      for (const checkpoint of checkpoints) {
        if (measured.has(checkpoint.directory)) continue;
        const records = await measureOrFail({
          checkpoint,
          opened,
          configuration: checked,
          signal,
          onProgress,
        });
        for (const record of records) {
          await owned.append(record);
          onProgress(record);
          if (record.type === "checkpoint") measured.set(record.checkpoint, record);
          else if (record.type === "failure") failures.set(record.checkpoint, record);
        }
        await owned.sync();
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
  return { directory, checkpoints: found(measured), failures: found(failures) };
}

/** The records of checkpoints that were measured to their end, each once. */
function whole(records: SeriesRecord[]): SeriesRecord[] {
  const ended = new Set(records.flatMap((r) => (r?.type === "checkpoint" ? [r.checkpoint] : [])));
  return records.filter((r) => (r?.type === "batch" || r?.type === "checkpoint") && ended.has(r.checkpoint));
}

interface Task {
  checkpoint: ListedCheckpoint;
  opened: TokenStream | ExampleSet;
  configuration: SeriesConfiguration;
  signal: AbortSignal | undefined;
  onProgress: (event: SeriesEvent) => void;
}

async function measureOrFail(task: Task): Promise<SeriesRecord[]> {
  // What the callback throws ends the series: it is not the checkpoint's fault.
  let thrown: { error: unknown } | undefined;
  const onProgress: Task["onProgress"] = (event) => {
    try {
      task.onProgress(event);
    } catch (error) {
      thrown = { error };
      throw error;
    }
  };
  try {
    return await measureCheckpoint({ ...task, onProgress });
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
async function measureCheckpoint(task: Task): Promise<SeriesRecord[]> {
  const { checkpoint, configuration, opened, signal, onProgress } = task;
  const started = performance.now();
  const { optimizer, search, batch, weightDecay, directional, accumulate, measure } = configuration;
  const { dtype, device, parameterDtype, recompute } = configuration;
  using model = await loadModel(checkpoint.directory, {
    dtype,
    device,
    parameterDtype: parameterDtype ?? undefined,
  });
  await using data = TrainingData.over(opened, configuration, model.config);
  using given =
    configuration.direction === null ? undefined : await Direction.load(configuration.direction, model);
  const optimizerState = given ? undefined : storedState(configuration, checkpoint);
  const total = measure + (given || optimizerState !== undefined ? 0 : accumulate);
  let done = 0;
  const result = await frozenSharpness({
    model,
    batches: (index) => data.training(index + 1),
    ...(given ? { direction: given } : { optimizer, optimizerState }),
    accumulate,
    measure,
    weightDecay,
    parts: partsOf(model, configuration),
    directional,
    hessian: configuration.hessian ?? undefined,
    ...search,
    microBatch: batch.microBatch,
    recompute,
    signal,
    onProgress: ({ loss }) => onProgress({ type: "progress", checkpoint, done: ++done, total, loss }),
  });
  const { directory } = checkpoint;
  return [
    ...result.batches.map((found) => batchRecord(directory, found)),
    checkpointRecord(result, {
      checkpoint: directory,
      parameterCount: model.parameterCount,
      direction: given ? "given" : optimizerState === undefined ? "accumulated" : "stored",
      seconds: (performance.now() - started) / 1000,
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

function checkSeriesOptions(options: unknown) {
  const { directory, checkpoints, fresh = false, signal, onProgress } = checkOptions(options, "options");
  if (!Array.isArray(checkpoints) || checkpoints.length === 0)
    throw expected("an array of at least one checkpoint", "options.checkpoints", checkpoints);
  return {
    directory: checkString(directory, "options.directory"),
    checkpoints: checkListed(checkpoints),
    fresh: checkBoolean(fresh, "options.fresh"),
    signal: checkSignal(signal, "options.signal"),
    onProgress: (checkCallback(onProgress, "options.onProgress") ?? (() => {})) as (
      event: SeriesEvent,
    ) => void,
  };
}

/** Paths are listed; what was listed already keeps its name, steps and tokens. */
function checkListed(checkpoints: readonly unknown[]): ListedCheckpoint[] {
  const directories = checkpoints.map((c, i) => {
    const given = typeof c === "object" && c !== null ? (c as ListedCheckpoint).directory : c;
    return checkString(given, `options.checkpoints[${i}]`);
  });
  const listed = listCheckpoints(directories);
  const known = new Map(
    checkpoints.flatMap((c) =>
      typeof c === "string" ? [] : [[(c as ListedCheckpoint).directory, c as ListedCheckpoint]],
    ),
  );
  return listed.map((c) => known.get(c.directory) ?? c);
}
