import * as z from "zod";
import { badRun, type RecordOf, type RunFacts, type StoredRun } from "../../runs/index.js";
import { measurementSchema, real, recordedSharpness } from "../../sharpness/index.js";
import type { Probe } from "./probe-files.js";
import type { ProbesConfiguration } from "./probes-configuration.js";

const probe = { name: z.string(), step: z.number(), written: z.number() };

/** Lines of the metrics.jsonl of probes. */
export const probesRecords = {
  /** A probe: λc of its batch, along its Δ, at its weights. */
  probe: z.object({
    ...probe,
    /** η of the training's update. */
    learningRate: z.number(),
    loss: real,
    gradientNorm: real,
    measurement: measurementSchema,
  }),
  /** A probe that could not be measured. It is tried again when the run goes on. */
  failure: z.object({ ...probe, code: z.string().nullable().default(null), message: z.string() }),
} as const;

export type ProbesRecord = RecordOf<typeof probesRecords>;
export type ProbeRecord = Extract<ProbesRecord, { type: "probe" }>;
export type ProbeFailureRecord = Extract<ProbesRecord, { type: "failure" }>;

/** What tells a probe from others, those of another training in the same folder included. */
export const identity = ({ name, written }: Pick<Probe, "name" | "written">) => `${name} ${written}`;

/** λc; Infinity where Δ does not descend, NaN where it could not be told. */
export const sharpnessOf = ({ measurement }: ProbeRecord): number =>
  recordedSharpness(measurement).criticalSharpness;

/** Probes whose λc is above 2/η: their step overshoots the minimum along Δ so far that the loss of its own batch rises. */
export function aboveThreshold(probes: readonly ProbeRecord[]): { above: number; of: number } {
  const ratios = probes.map((found) => (sharpnessOf(found) * found.learningRate) / 2);
  const resolved = ratios.filter((ratio) => !Number.isNaN(ratio));
  return { above: resolved.filter((ratio) => ratio > 1).length, of: resolved.length };
}

/** The numbers of a probe for TensorBoard. */
export function probesScalars(
  record: ProbesRecord,
): { step: number; values: Record<string, number> } | undefined {
  if (record.type !== "probe") return undefined;
  const { step, loss, learningRate, gradientNorm, measurement } = record;
  const sharpness = measurement.criticalSharpness ?? NaN;
  return {
    step,
    values: {
      "loss/training": loss,
      learning_rate: learningRate,
      gradient_norm: gradientNorm,
      "sharpness/critical": sharpness,
      "sharpness/two_over_learning_rate": 2 / learningRate,
      "sharpness/critical_over_threshold": (sharpness * learningRate) / 2,
      forward_passes: measurement.forwardPasses,
    },
  };
}

/** What was measured so far. */
export interface MeasuredProbes {
  configuration: ProbesConfiguration;
  facts: RunFacts;
  /** By step, the last of each. */
  measured: ProbeRecord[];
  failed: ProbeFailureRecord[];
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if no probe was measured. */
export async function gather(
  run: StoredRun<ProbesConfiguration, typeof probesRecords>,
): Promise<MeasuredProbes> {
  const { configuration, facts, directory } = run;
  const last = new Map<number, ProbesRecord>();
  for await (const record of run.records()) last.set(record.step, record);
  const records = [...last.values()].sort((a, b) => a.step - b.step);
  const measured = records.filter((record) => record.type === "probe");
  if (measured.length === 0)
    throw badRun("a run of which at least one probe was measured", directory, "none");
  return { configuration, facts, measured, failed: records.filter((record) => record.type === "failure") };
}
