import { CriticalSharpnessError } from "../errors.js";
import type { MeasuredSharpness } from "../measures/index.js";
import type { MixConfiguration } from "./mix-configuration.js";
import type { MixCost, MixMeasurement } from "./mix-sweep.js";
import { type MeasurementRecord, measurementRecord } from "./records.js";

/**
 * How Δ comes about, as config.json has it: of the mixture's own batches. Older mixes say nothing there: theirs was of sums of whole
 * batches, with half the noise in the middle, and is not to be compared with this.
 */
export const mixEstimator = "mixture-batches";

/** Whether a config.json is of a mix from before that. */
export function isOldMix(configuration: string | Record<string, unknown>): boolean {
  try {
    const stored = typeof configuration === "string" ? JSON.parse(configuration) : configuration;
    return typeof stored === "object" && "sources" in stored && stored.estimator !== mixEstimator;
  } catch {
    return false;
  }
}

/** The error for its directory. */
export function oldMix(directory: string): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_RUN_DIRECTORY",
    `Expected a mix of this version for the run directory "${directory}" but received one of an older version, whose λc were ` +
      "too small at ratios in the middle. Measure again: choose another directory, or start this one afresh (--fresh)",
  );
}

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
  /** Loss of each task's held-out batches, which no sweep saw, before the first step and after the last; null where it was not finite. */
  tasks: Record<string, { before: number; after: number | null }>;
  /** Part of the questions answered correctly before and after. */
  choices: Record<string, { before: number; after: number }>;
  seconds: number;
}

export function sameSetup(a: MixCellRecord["setup"], b: MixCellRecord["setup"]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * The cells of one training, each once: of the one that the configuration describes, else of the latest. Those with other steps or
 * judges are not compared with them.
 */
export function oneTraining(
  cells: readonly MixCellRecord[],
  { steps, batches }: Pick<MixConfiguration["train"], "steps" | "batches">,
): MixCellRecord[] {
  const described = cells.filter(({ setup }) => setup.steps === steps && setup.batches <= batches);
  const setup = (described.at(-1) ?? cells.at(-1))?.setup;
  if (!setup) return [];
  const own = cells.filter((cell) => sameSetup(cell.setup, setup));
  return [...new Map(own.map((cell) => [`${cell.ratio} ${cell.learningRate}`, cell])).values()];
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
