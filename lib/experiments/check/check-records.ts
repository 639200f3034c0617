import * as z from "zod";
import { badRun, type RecordOf, type RunFacts, type StoredRun } from "../../runs/index.js";
import { finite, measurementSchema, real, recordedSharpness } from "../../sharpness/index.js";
import type { CheckConfiguration } from "./check-configuration.js";

const point = z.object({ learningRate: z.number(), loss: finite });

/** Lines of a check's metrics.jsonl. */
export const checkRecords = {
  /** What is asked, and what Δ is made of. */
  question: z.object({
    /** η, and where it stands: a file's name, or "given". */
    learningRate: z.number(),
    learningRateSource: z.string(),
    parameterCount: z.number(),
    /** Where the moments come from: the run's own, gradients at frozen weights, or none are needed. */
    moments: z.enum(["stored", "accumulated", "none"]),
    optimizer: z.string(),
    optimizerState: z.string().nullable(),
    /** Rows of a batch. */
    rows: z.number(),
    /** What it costs at most, in training steps. */
    expectedSteps: z.number(),
  }),
  /** A batch at the weights as they are, or several together as one. */
  batch: z.object({
    /** Batches that are one here. */
    together: z.number(),
    /** Its place among those of as many together, from 0. */
    index: z.number(),
    loss: real,
    gradientNorm: real,
    /** Of its own loss along the Δ that its gradient makes. */
    measurement: measurementSchema,
    /** Of another batch's loss along the same Δ; null of several batches together, and of the first. */
    heldOut: measurementSchema.nullable(),
    /** Its own loss along Δ besides, by ascending η; among them that which is asked about. */
    points: z.array(point),
    /** The other batch's loss at the η that is asked about. */
    heldOutLoss: finite,
  }),
  /** A step of the trial: measured before it is made; the last is not made. */
  trial: z.object({
    step: z.number(),
    /** η of the step. */
    learningRate: z.number(),
    loss: real,
    gradientNorm: real,
    measurement: measurementSchema,
  }),
  /** The trial's loss or gradient was not finite. */
  diverged: z.object({ step: z.number(), received: z.string() }),
  /** What it took. */
  end: z.object({ gradients: z.number(), forwardPasses: z.number(), seconds: z.number() }),
} as const;

export type CheckRecord = RecordOf<typeof checkRecords>;
type Record<Type extends CheckRecord["type"]> = Extract<CheckRecord, { type: Type }>;
export type CheckQuestionRecord = Record<"question">;
export type CheckBatchRecord = Record<"batch">;
export type CheckTrialRecord = Record<"trial">;
export type CheckDivergedRecord = Record<"diverged">;
export type CheckEndRecord = Record<"end">;

/** The numbers of a record for TensorBoard. */
export function checkScalars(
  record: CheckRecord,
): { step: number; values: globalThis.Record<string, number> } | undefined {
  if (record.type !== "trial") return undefined;
  const { step, loss, learningRate, measurement } = record;
  const { criticalSharpness } = recordedSharpness(measurement);
  return {
    step,
    values: {
      "loss/trial": loss,
      learning_rate: learningRate,
      "sharpness/critical": criticalSharpness,
      "sharpness/two_over_learning_rate": 2 / learningRate,
    },
  };
}

/** What a check has found so far. */
export interface CheckRecords {
  question: CheckQuestionRecord;
  /** Each alone, in order. */
  batches: CheckBatchRecord[];
  /** Several together, in order. */
  joined: CheckBatchRecord[];
  trial: CheckTrialRecord[];
  diverged: CheckDivergedRecord | null;
  end: CheckEndRecord | null;
}

/** Sorts records; undefined where not even the question is there. */
export function sortRecords(records: readonly CheckRecord[]): CheckRecords | undefined {
  const of = <Type extends CheckRecord["type"]>(type: Type) =>
    records.filter((record): record is Record<Type> => record.type === type);
  const question = of("question").at(-1);
  const batches = of("batch");
  return (
    question && {
      question,
      batches: batches.filter(({ together }) => together === 1),
      joined: batches.filter(({ together }) => together > 1),
      trial: of("trial"),
      diverged: of("diverged").at(-1) ?? null,
      end: of("end").at(-1) ?? null,
    }
  );
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no batch was measured. */
export async function gather(
  run: StoredRun<CheckConfiguration, typeof checkRecords>,
): Promise<CheckRecords & { configuration: CheckConfiguration; facts: RunFacts }> {
  const { configuration, facts, directory } = run;
  const records: CheckRecord[] = [];
  for await (const record of run.records()) records.push(record);
  const sorted = sortRecords(records);
  if (!sorted || sorted.batches.length === 0)
    throw badRun("a check of which at least one batch was measured", directory, "none");
  return { ...sorted, configuration, facts };
}
