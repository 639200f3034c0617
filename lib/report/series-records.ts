import { badConfiguration, explain } from "../experiments/configuration-errors.js";
import type { ListedCheckpoint } from "../experiments/index.js";
import { type SeriesConfiguration, seriesSchema } from "../experiments/series-configuration.js";
import type { CheckpointRecord, FailureRecord } from "../experiments/series-records.js";
import { badRun, isObject, readLines, readStored } from "./run-files.js";

/** A checkpoint and what was found of it. */
export type MeasuredCheckpoint = ListedCheckpoint & CheckpointRecord;

/** What a series left so far. */
export interface SeriesRecords {
  configuration: SeriesConfiguration;
  created: string | undefined;
  versions: Record<string, string>;
  /** Those that were measured, in the order of the series. */
  measured: MeasuredCheckpoint[];
  failed: (ListedCheckpoint & FailureRecord)[];
  /** Of all checkpoints of the series. */
  count: number;
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no checkpoint was measured; `ERR_CONFIGURATION`. */
export async function readSeries(directory: string): Promise<SeriesRecords> {
  const { created, versions, checkpoints, ...input } = await readStored(directory, "series");
  const parsed = seriesSchema.safeParse(input);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, input), `${directory}/config.json`);
  const listed = Array.isArray(checkpoints) ? checkpoints.filter(isListed) : [];
  const measured = new Map<string, CheckpointRecord>();
  const failed = new Map<string, FailureRecord>();
  for await (const record of readLines(directory)) {
    if (record.type === "checkpoint")
      measured.set(String(record.checkpoint), record as unknown as CheckpointRecord);
    if (record.type === "failure") failed.set(String(record.checkpoint), record as unknown as FailureRecord);
  }
  const found = <R>(records: Map<string, R>) =>
    listed.flatMap((checkpoint) => {
      const record = records.get(checkpoint.directory);
      return record ? [{ ...checkpoint, ...record }] : [];
    });
  const series = found(measured);
  if (series.length === 0)
    throw badRun("a series of which at least one checkpoint was measured", directory, "none");
  return {
    configuration: parsed.data,
    created: typeof created === "string" ? created : undefined,
    versions: isObject(versions)
      ? Object.fromEntries(Object.entries(versions).map(([k, v]) => [k, String(v)]))
      : {},
    measured: series,
    failed: found(failed).filter(({ directory: d }) => !measured.has(d)),
    count: listed.length,
  };
}

function isListed(value: unknown): value is ListedCheckpoint {
  return isObject(value) && typeof value.name === "string" && typeof value.directory === "string";
}
