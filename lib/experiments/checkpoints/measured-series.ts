import { badRun, type RunFacts, type StoredRun } from "../../runs/index.js";
import type { ListedCheckpoint } from "./checkpoint-list.js";
import type { SeriesConfiguration, StoredSeries } from "./series-configuration.js";
import type { CheckpointRecord, FailureRecord, seriesRecords } from "./series-records.js";

/** A checkpoint and what was found of it. */
export type MeasuredCheckpoint = ListedCheckpoint & CheckpointRecord;

/** What a series left so far. */
export interface SeriesRecords {
  configuration: SeriesConfiguration;
  facts: RunFacts;
  /** Those that were measured, in the order of the series. */
  measured: MeasuredCheckpoint[];
  failed: (ListedCheckpoint & FailureRecord)[];
  /** Of all checkpoints of the series. */
  count: number;
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no checkpoint was measured. */
export async function gather(run: StoredRun<StoredSeries, typeof seriesRecords>): Promise<SeriesRecords> {
  const { configuration, facts, directory } = run;
  const { checkpoints } = configuration;
  const measured = new Map<string, CheckpointRecord>();
  const failed = new Map<string, FailureRecord>();
  for await (const record of run.records())
    if (record.type === "checkpoint") measured.set(record.checkpoint, record);
    else if (record.type === "failure") failed.set(record.checkpoint, record);
  const found = <R>(records: Map<string, R>) =>
    checkpoints.flatMap((checkpoint) => {
      const record = records.get(checkpoint.directory);
      return record ? [{ ...checkpoint, ...record }] : [];
    });
  const series = found(measured);
  if (series.length === 0)
    throw badRun("a series of which at least one checkpoint was measured", directory, "none");
  return {
    ...{ configuration, facts, measured: series },
    failed: found(failed).filter((checkpoint) => !measured.has(checkpoint.directory)),
    count: checkpoints.length,
  };
}
