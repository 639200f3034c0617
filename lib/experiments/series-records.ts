import type { Estimate, SharpnessEstimate } from "./estimate.js";
import type { FrozenMeasurement, FrozenResult } from "./frozen-sharpness.js";
import { type EigenvalueRecord, finiteOrNull, type MeasurementRecord, measurementRecord } from "./records.js";

/** Lines of a series' metrics.jsonl. Infinity and NaN are written as null; what null stands for is in `status`. */
export type SeriesRecord = BatchRecord | CheckpointRecord | FailureRecord;

/** One measured batch of a checkpoint. The lines of a checkpoint stand before its own. */
export interface BatchRecord {
  type: "batch";
  /** The checkpoint's directory. */
  checkpoint: string;
  /** The batch's place among all, from 0; the accumulated ones come first. */
  index: number;
  loss: number;
  gradientNorm: number;
  measurement: Omit<MeasurementRecord, "seconds">;
  /** Of each part of the model, without the forward passes. */
  parts: Record<string, Pick<MeasurementRecord, "status" | "criticalLearningRate" | "criticalSharpness">>;
  directionalSharpness: number | null;
  preconditioned: EigenvalueRecord | null;
}

/** `SharpnessEstimate` in JSON: a median that is infinite, or of no batches, is null. */
export type SharpnessEstimateRecord = Omit<SharpnessEstimate, "median"> & { median: number | null };

/** What was found of a checkpoint over its batches. */
export interface CheckpointRecord {
  type: "checkpoint";
  checkpoint: string;
  parameterCount: number;
  /** Where Δ came from: moments accumulated here or stored with the checkpoint, or a direction that was given. */
  direction: "accumulated" | "stored" | "given";
  /** Gradients in the optimizer's state before the first measured batch. */
  accumulated: number;
  criticalSharpness: SharpnessEstimateRecord;
  loss: Estimate;
  parts: Record<string, SharpnessEstimateRecord>;
  directionalSharpness: Estimate | null;
  preconditioned: Estimate | null;
  /** Forward passes of all measurements. */
  forwardPasses: number;
  seconds: number;
}

/** A checkpoint that could not be measured. It is tried again when the series goes on. */
export interface FailureRecord {
  type: "failure";
  checkpoint: string;
  code: string | null;
  message: string;
}

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

export function checkpointRecord(
  { batches, criticalSharpness, parts, ...rest }: FrozenResult,
  facts: Pick<CheckpointRecord, "checkpoint" | "parameterCount" | "direction" | "seconds">,
): CheckpointRecord {
  const measured = batches.flatMap((b) => [b.measurement, ...Object.values(b.parts)]);
  return {
    type: "checkpoint",
    ...facts,
    ...rest,
    criticalSharpness: estimateRecord(criticalSharpness),
    parts: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, estimateRecord(part)])),
    forwardPasses: measured.reduce((sum, { forwardPasses }) => sum + forwardPasses, 0),
  };
}

function estimateRecord(found: SharpnessEstimate): SharpnessEstimateRecord {
  return { ...found, median: finiteOrNull(found.median) };
}
