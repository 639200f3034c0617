import * as z from "zod";
import { CriticalSharpnessError } from "../../errors.js";
import {
  badRun,
  type RecordOf,
  type RunFacts,
  type StoredConfiguration,
  type StoredRun,
} from "../../runs/index.js";
import { type MeasuredSharpness, measurementRecord, measurementSchema } from "../../sharpness/index.js";
import type { MixConfiguration } from "./mix-configuration.js";
import { type MixSummary, type MixVerdict, mixVerdict, summarizeMix } from "./summary.js";
import type { MixMeasurement } from "./sweep.js";

/**
 * Runs of the first schema say how Δ came about: of the mixture's own batches. Older ones say nothing: theirs was of sums of whole
 * batches, with half the noise in the middle, and is not to be compared with this.
 */
export function withoutEstimator(
  { estimator, ...stored }: StoredConfiguration,
  directory: string,
): StoredConfiguration {
  if (estimator === "mixture-batches") return stored;
  throw new CriticalSharpnessError(
    "ERR_RUN_DIRECTORY",
    `Expected a mix of this version for the run directory "${directory}" but received one of an older version, whose λc were ` +
      "too small at ratios in the middle. Measure again: choose another directory, or start this one afresh (--fresh)",
  );
}

const measurement = measurementSchema.omit({ seconds: true });

/** Lines of a mix's metrics.jsonl. */
export const mixRecords = {
  /** One task along another's gradient, or its own. */
  pair: z.object({ update: z.string(), evaluate: z.string(), measurement }),
  /** One task along one ratio's Δ in one repeat. */
  mix: z.object({ repeat: z.number(), ratio: z.number(), task: z.string(), measurement }),
  /** Ends the lines of a repeat, and tells what it took. */
  repeat: z.object({
    /** Counts from 0. */
    repeat: z.number(),
    /** Rows that went through backward passes for the updates: at most those of two batches for each gradient, for any ratios. */
    updateRows: z.number(),
    /** The passes that they took: a batch is cut where a ratio's part of it ends. */
    updatePasses: z.number(),
    /** Backward passes over the tasks' batches, for their slopes: one a task. */
    evaluatePasses: z.number(),
    backwardSeconds: z.number(),
    /** Forward passes of all searches. */
    forwardPasses: z.number(),
    forwardSeconds: z.number(),
  }),
  /** What training at one ratio and learning rate did. */
  cell: z.object({
    ratio: z.number(),
    learningRate: z.number(),
    /** What the cell was made with; one made otherwise is made again. */
    setup: z.object({
      steps: z.number(),
      batches: z.number().default(0),
      choices: z.record(z.string(), z.number()).default({}),
    }),
    /** Loss of each task's held-out batches, which no sweep saw, before the first step and after the last; null where it was not finite. */
    tasks: z.record(z.string(), z.object({ before: z.number(), after: z.number().nullable() })),
    /** Part of the questions answered correctly before and after. */
    choices: z.record(z.string(), z.object({ before: z.number(), after: z.number() })),
    seconds: z.number().default(0),
  }),
} as const;

export type MixRecord = RecordOf<typeof mixRecords>;
export type MixPairRecord = Extract<MixRecord, { type: "pair" }>;
export type MixLineRecord = Extract<MixRecord, { type: "mix" }>;
export type MixRepeatRecord = Extract<MixRecord, { type: "repeat" }>;
export type MixCellRecord = Extract<MixRecord, { type: "cell" }>;
export type MixCost = Omit<MixRepeatRecord, "type">;

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

function withoutSeconds(result: MeasuredSharpness): MixLineRecord["measurement"] {
  const { seconds: _, ...rest } = measurementRecord(result, 0);
  return rest;
}

/** The numbers of a line, or of a training, for TensorBoard, at the number of its repeat. */
export function mixScalars(record: MixRecord): { step: number; values: Record<string, number> } | undefined {
  if (record.type === "mix") {
    const { repeat, ratio, task, measurement: found } = record;
    return { step: repeat + 1, values: { [`sharpness/${task}/${ratio}`]: found.criticalSharpness ?? NaN } };
  }
  if (record.type !== "cell") return undefined;
  const { ratio, learningRate, tasks } = record;
  const changes = Object.entries(tasks).map(([task, { before, after }]) => [
    `loss_change/${task}/${ratio}/${learningRate}`,
    (after ?? NaN) - before,
  ]);
  return { step: 1, values: Object.fromEntries(changes) };
}

/** What a mix left so far: its whole repeats, and what follows from them. */
export interface MixRecords extends MixSummary {
  configuration: MixConfiguration;
  facts: RunFacts;
  lines: MixLineRecord[];
  repeats: MixRepeatRecord[];
  pairs: MixPairRecord[];
  cells: MixCellRecord[];
  verdict: MixVerdict | null;
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no repeat was measured. */
export async function gather(run: StoredRun<MixConfiguration, typeof mixRecords>): Promise<MixRecords> {
  const { configuration, facts, directory } = run;
  const all: MixLineRecord[] = [];
  const repeats = new Map<number, MixRepeatRecord>();
  const pairs = new Map<string, MixPairRecord>();
  const cells: MixCellRecord[] = [];
  for await (const record of run.records())
    if (record.type === "mix") all.push(record);
    else if (record.type === "repeat") repeats.set(record.repeat, record);
    else if (record.type === "pair") pairs.set(`${record.update} ${record.evaluate}`, record);
    else cells.push(record);
  const lines = all.filter(({ repeat }) => repeats.has(repeat));
  if (lines.length === 0) throw badRun("a mix of which at least one repeat was measured", directory, "none");
  const summary = summarizeMix(lines, configuration.seed);
  const trained = oneTraining(cells, configuration.train);
  return {
    ...{ configuration, facts, lines },
    repeats: [...repeats.values()],
    pairs: [...pairs.values()],
    cells: trained,
    ...summary,
    verdict: mixVerdict(trained, summary.recommendation),
  };
}
