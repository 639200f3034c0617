import type { MeasuredSharpness } from "../measures/index.js";
import type { MixCost, MixMeasurement } from "./mix-sweep.js";
import { type MeasurementRecord, measurementRecord } from "./records.js";

/** Lines of a mix's metrics.jsonl. Infinity and NaN are written as null; what an infinite λc means is in `status`. */
export type MixRecord = MixPairRecord | MixLineRecord | MixRepeatRecord | MixCellRecord;

/** One task along another's gradient, or its own. */
export interface MixPairRecord {
  type: "pair";
  update: string;
  evaluate: string;
  measurement: Omit<MeasurementRecord, "seconds">;
}

/** One task along one ratio's Δ in one repeat. */
export interface MixLineRecord {
  type: "mix";
  repeat: number;
  ratio: number;
  task: string;
  measurement: Omit<MeasurementRecord, "seconds">;
}

/** Ends the lines of a repeat. */
export type MixRepeatRecord = { type: "repeat" } & MixCost;

/** What training at one ratio and learning rate did. */
export interface MixCellRecord {
  type: "cell";
  ratio: number;
  learningRate: number;
  /** What the cell was made with; one made otherwise is made again. */
  setup: { steps: number; batches: number; choices: Record<string, number> };
  /** Loss of each task's held-out batches before the first step and after the last; null where it was not finite. */
  tasks: Record<string, { before: number; after: number | null }>;
  /** Part of the questions answered correctly before and after. */
  choices: Record<string, { before: number; after: number }>;
  seconds: number;
}

export function mixLineRecord({ repeat, ratio, task, measurement }: MixMeasurement): MixLineRecord {
  return { type: "mix", repeat, ratio, task, measurement: withoutSeconds(measurement) };
}

export function mixPairRecord(update: string, evaluate: string, result: MeasuredSharpness): MixPairRecord {
  return { type: "pair", update, evaluate, measurement: withoutSeconds(result) };
}

function withoutSeconds(result: MeasuredSharpness): Omit<MeasurementRecord, "seconds"> {
  const { seconds: _, ...rest } = measurementRecord(result, 0);
  return rest;
}
