import path from "node:path";
import * as z from "zod";
import { eigenvalueSchema } from "../../curvature/index.js";
import { badRun, type RecordOf, type RunFacts, type StoredRun } from "../../runs/index.js";
import {
  estimateSchema,
  finite,
  measurementRecord,
  measurementSchema,
  real,
  recordedSharpness,
  sharpnessEstimateRecord,
  sharpnessEstimateSchema,
} from "../../sharpness/index.js";
import { finiteOrNull } from "../../statistics.js";
import { type ListedCheckpoint, parseCheckpointName } from "./checkpoint-list.js";
import { edgeOf } from "./edge.js";
import { type FrozenMeasurement, type FrozenSummary, summarize } from "./frozen-summary.js";
import type { SeriesConfiguration, StoredSeries } from "./series-configuration.js";

/** Lines of a series' metrics.jsonl. */
export const seriesRecords = {
  /** One measured batch of a checkpoint. The lines of a checkpoint stand before its own. */
  batch: z.object({
    /** The checkpoint's directory. */
    checkpoint: z.string(),
    /** The batch's place among all, from 0; the accumulated ones come first. */
    index: z.number(),
    loss: real,
    gradientNorm: real,
    measurement: measurementSchema.omit({ seconds: true }),
    /** Of each part of the model, without the forward passes. */
    parts: z.record(
      z.string(),
      measurementSchema.pick({ status: true, criticalLearningRate: true, criticalSharpness: true }),
    ),
    directionalSharpness: finite,
    preconditioned: eigenvalueSchema.nullable(),
  }),
  /** What was found of a checkpoint over its batches. */
  checkpoint: z.object({
    checkpoint: z.string(),
    parameterCount: z.number(),
    /** Where Δ came from: moments accumulated here or stored with the checkpoint, or a direction that was given. */
    direction: z.enum(["accumulated", "stored", "given"]),
    /** The optimizer of a stored state in words, and the state's name; null where moments were accumulated here. */
    optimizer: z.string().nullable().default(null),
    optimizerState: z.string().nullable().default(null),
    /** η of the step that came next, null where nothing says it; and where that stands. */
    learningRate: z.number().nullable().default(null),
    learningRateSource: z.string().nullable().default(null),
    tokensSeen: z.number().nullable().default(null),
    /** The other checkpoints that have the same weights, bit for bit, by name. */
    sameWeights: z.array(z.string()).default([]),
    /** Gradients in the optimizer's state before the first measured batch. */
    accumulated: z.number(),
    criticalSharpness: sharpnessEstimateSchema,
    loss: estimateSchema,
    parts: z.record(z.string(), sharpnessEstimateSchema),
    directionalSharpness: estimateSchema.nullable(),
    preconditioned: estimateSchema.nullable(),
    /** Forward passes of all measurements. */
    forwardPasses: z.number(),
    seconds: z.number(),
  }),
  /** A checkpoint that could not be measured. It is tried again when the series goes on. */
  failure: z.object({
    checkpoint: z.string(),
    code: z.string().nullable().default(null),
    message: z.string(),
  }),
} as const;

export type SeriesRecord = RecordOf<typeof seriesRecords>;
export type BatchRecord = Extract<SeriesRecord, { type: "batch" }>;
export type CheckpointRecord = Extract<SeriesRecord, { type: "checkpoint" }>;
export type FailureRecord = Extract<SeriesRecord, { type: "failure" }>;

export function batchRecord(checkpoint: string, found: FrozenMeasurement): BatchRecord {
  const { seconds: _, ...measurement } = measurementRecord(found.measurement, 0);
  const parts = Object.entries(found.parts).map(([name, part]) => {
    const { status, criticalLearningRate, criticalSharpness } = part;
    return [
      name,
      {
        status,
        criticalLearningRate: finiteOrNull(criticalLearningRate),
        criticalSharpness: finiteOrNull(criticalSharpness),
      },
    ];
  });
  const { index, loss, gradientNorm, preconditioned } = found;
  return {
    ...{ type: "batch", checkpoint, index, loss, gradientNorm, measurement },
    parts: Object.fromEntries(parts),
    directionalSharpness: finiteOrNull(found.directionalSharpness),
    preconditioned,
  };
}

/** What a checkpoint's batches, as they were recorded, say together. */
export function checkpointRecord(
  batches: readonly BatchRecord[],
  asked: Parameters<typeof summarize>[0],
  facts: Omit<CheckpointRecord, "type" | keyof FrozenSummary>,
): CheckpointRecord {
  const { criticalSharpness, parts, ...rest } = summarize(
    asked,
    batches.map((batch) => ({
      ...batch,
      measurement: recordedSharpness(batch.measurement),
      parts: Object.fromEntries(
        Object.entries(batch.parts).map(([name, part]) => [name, recordedSharpness(part)]),
      ),
    })),
  );
  return {
    type: "checkpoint",
    ...facts,
    ...rest,
    criticalSharpness: sharpnessEstimateRecord(criticalSharpness),
    parts: Object.fromEntries(
      Object.entries(parts).map(([name, part]) => [name, sharpnessEstimateRecord(part)]),
    ),
  };
}

/** The numbers of a checkpoint for TensorBoard, at the step in its name. */
export function seriesScalars(
  record: SeriesRecord,
): { step: number; values: Record<string, number> } | undefined {
  if (record.type !== "checkpoint") return undefined;
  const { step } = parseCheckpointName(path.basename(record.checkpoint));
  const edge = edgeOf(record);
  const mean = (found: { mean: number | null } | null) => found?.mean ?? NaN;
  const parts = Object.entries(record.parts).map(([name, part]) => [`parts/${name}`, mean(part)]);
  return {
    step: step ?? 0,
    values: {
      "sharpness/critical": mean(record.criticalSharpness),
      "sharpness/over_threshold": edge?.ratio ?? NaN,
      "loss/checkpoint": mean(record.loss),
      "curvature/directional": mean(record.directionalSharpness),
      "curvature/preconditioned": mean(record.preconditioned),
      forward_passes: record.forwardPasses,
      ...Object.fromEntries(parts),
    },
  };
}

/** A checkpoint and what was found of it. */
export type MeasuredCheckpoint = ListedCheckpoint & CheckpointRecord;

/** What a series left so far. */
export interface SeriesRecords {
  configuration: SeriesConfiguration;
  facts: RunFacts;
  /** Those that were measured, in the order of the series. */
  measured: MeasuredCheckpoint[];
  failed: (ListedCheckpoint & FailureRecord)[];
  /** Measurements in which an estimate was certified. */
  certified: Pick<BatchRecord, "measurement">[];
  /** Of all checkpoints of the series. */
  count: number;
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no checkpoint was measured. */
export async function gather(run: StoredRun<StoredSeries, typeof seriesRecords>): Promise<SeriesRecords> {
  const { configuration, facts, directory } = run;
  const { checkpoints } = configuration;
  const measured = new Map<string, CheckpointRecord>();
  const failed = new Map<string, FailureRecord>();
  const certified = new Map<string, BatchRecord>();
  for await (const record of run.records())
    if (record.type === "checkpoint") measured.set(record.checkpoint, record);
    else if (record.type === "failure") failed.set(record.checkpoint, record);
    else if (record.type === "batch" && record.measurement.estimate)
      certified.set(`${record.index} of ${record.checkpoint}`, record);
  const found = <R>(records: Map<string, R>) =>
    checkpoints.flatMap((checkpoint) => {
      const record = records.get(checkpoint.directory);
      return record ? [{ ...checkpoint, ...record }] : [];
    });
  const series = found(measured).map((one) => ({ ...one, tokens: one.tokens ?? one.tokensSeen }));
  if (series.length === 0)
    throw badRun("a series of which at least one checkpoint was measured", directory, "none");
  return {
    ...{ configuration, facts, measured: series },
    failed: found(failed).filter((checkpoint) => !measured.has(checkpoint.directory)),
    certified: [...certified.values()],
    count: checkpoints.length,
  };
}
