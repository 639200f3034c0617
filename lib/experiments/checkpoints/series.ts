import * as z from "zod";
import { openData } from "../../data/index.js";

import { count, flags, name, type OptionsOf, readOptions } from "../../options/index.js";
import { type RankOptions, Run, type RunOptions, rankOptions, runOptions } from "../../runs/index.js";
import { closeData } from "../training-data.js";
import { type ListedCheckpoint, listCheckpoints } from "./checkpoint-list.js";
import { equalWeights } from "./equal-weights.js";
import { checkpointsKind } from "./index.js";
import { measureOrFail, type SeriesRun, seriesState } from "./measure-checkpoint.js";
import { findStates } from "./optimizer-states.js";
import { parseSeries, type SeriesConfigurationInput, type StoredSeries } from "./series-configuration.js";
import type { CheckpointRecord, FailureRecord, SeriesRecord, seriesRecords } from "./series-records.js";

export type SeriesEvent =
  /** `done` checkpoints were measured before. */
  | {
      type: "start";
      checkpoints: readonly ListedCheckpoint[];
      done: number;
      directory: string;
      /** Of how many checkpoints the optimizer's state is taken that their run had: of all, or of none. */
      states: number;
      /** Groups of checkpoints that have the same weights, bit for bit, by name. */
      sameWeights: readonly (readonly string[])[];
    }
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

export const seriesOptions = z.strictObject({ ...runOptions<SeriesEvent>(), ...rankOptions, ...seriesShape });

export interface SeriesOptions extends RunOptions<SeriesEvent>, RankOptions, OptionsOf<typeof seriesShape> {}

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
  const states = await findStates(checkpoints, parsed);
  await using run = await Run.open<SeriesEvent, StoredSeries, typeof seriesRecords>(
    checkpointsKind,
    parsed,
    checked,
  );
  const measured = new Map<string, CheckpointRecord>();
  const failures = new Map<string, FailureRecord>();
  await openLog(run, measured);
  const done = checkpoints.filter((c) => measured.has(c.directory)).length;
  const same = done < checkpoints.length ? await equalWeights(checkpoints, run.signal) : [];
  await run.tell({
    ...{ type: "start", checkpoints, done, directory: run.directory, states: states.size },
    sameWeights: same.map((group) => group.map(({ name }) => name)),
  });
  if (done < checkpoints.length) {
    const opened = await openData(parsed.data, parsed.seed);
    try {
      for (const checkpoint of checkpoints) {
        if (measured.has(checkpoint.directory)) continue;
        const others = same.find((group) => group.includes(checkpoint))?.filter((one) => one !== checkpoint);
        const task = {
          ...{ checkpoint, opened, configuration: parsed, run, saveEvery: checked.saveEvery },
          state: states.get(checkpoint.directory),
          sameWeights: (others ?? []).map(({ name }) => name),
        };
        for (const record of await measureOrFail(task)) {
          await run.record(record);
          if (record.type === "checkpoint") measured.set(record.checkpoint, record);
          else if (record.type === "failure") failures.set(record.checkpoint, record);
        }
        await run.sync();
        await seriesState(run).remove();
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

/** Paths are listed; what was listed already keeps its name, steps and tokens. */
function listedOf(checkpoints: SeriesOptions["checkpoints"]): ListedCheckpoint[] {
  const found = new Map(checkpoints.flatMap((c) => (typeof c === "string" ? [] : [[c.directory, c]])));
  const directories = checkpoints.map((c) => (typeof c === "string" ? c : c.directory));
  return listCheckpoints(directories).map((c) => found.get(c.directory) ?? c);
}
