import path from "node:path";
import { parseConfiguration, type TrainConfiguration } from "../experiments/configuration.js";
import type {
  CurvatureRecord,
  LandscapeRecord,
  MeasurementRecord,
  StepRecord,
  ValidationRecord,
} from "../experiments/records.js";
import { runFiles } from "../experiments/run-directory.js";
import { badRun, isObject, readLines, readStored } from "./run-files.js";

/** A step, without the forward passes of its measurement: there are many, and none is shown. */
export interface RunStep extends Omit<StepRecord, "measurement"> {
  measurement: Omit<MeasurementRecord, "evaluations"> | null;
}

/** What a run left so far. */
export interface RunRecords {
  configuration: TrainConfiguration;
  /** ISO 8601, when the run was begun. */
  created: string | undefined;
  versions: Record<string, string>;
  steps: RunStep[];
  validations: ValidationRecord[];
  landscapes: LandscapeRecord[];
  curvatures: CurvatureRecord[];
}

/**
 * Reads a run's config.json and metrics.jsonl. Records of other types are passed over, as is a last line that is cut
 * short, of a run that is under way or was killed.
 *
 * @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if there is no run, or none that made a step.
 */
export async function readRun(directory: string): Promise<RunRecords> {
  const stored = await readStored(directory, "train");
  const { created, versions, ...input } = stored;
  const run: RunRecords = {
    configuration: parseConfiguration(input, {
      file: path.join(directory, runFiles.configuration),
      base: directory,
    }),
    created: typeof created === "string" ? created : undefined,
    versions: isObject(versions)
      ? Object.fromEntries(Object.entries(versions).map(([k, v]) => [k, String(v)]))
      : {},
    steps: [],
    validations: [],
    landscapes: [],
    curvatures: [],
  };
  for await (const record of readLines(directory)) {
    if (record.type === "step") run.steps.push(withoutEvaluations(record as unknown as StepRecord));
    else if (record.type === "validation") run.validations.push(record as unknown as ValidationRecord);
    else if (record.type === "landscape") run.landscapes.push(record as unknown as LandscapeRecord);
    else if (record.type === "curvature") run.curvatures.push(record as unknown as CurvatureRecord);
  }
  if (run.steps.length > 0) return run;
  const message = `one without a step. Train it first: critical-sharpness train <config> --out ${directory}`;
  throw badRun("a run that made at least one step", directory, message);
}

function withoutEvaluations({ measurement, ...step }: StepRecord): RunStep {
  if (!measurement) return { ...step, measurement: null };
  const { evaluations: _, ...rest } = measurement;
  return { ...step, measurement: rest };
}
