import { badRun, type RunFacts, type StoredRun } from "../../runs/index.js";
import type { MeasurementRecord } from "../../sharpness/index.js";
import type { TrainConfiguration } from "./configuration.js";
import type {
  CurvatureRecord,
  LandscapeRecord,
  StepRecord,
  trainRecords,
  ValidationRecord,
} from "./records.js";

/** A step, without the forward passes of its measurement: there are many, and none is shown. */
export interface RunStep extends Omit<StepRecord, "measurement"> {
  measurement: Omit<MeasurementRecord, "evaluations"> | null;
}

/** What a training run left so far. */
export interface RunRecords {
  configuration: TrainConfiguration;
  facts: RunFacts;
  steps: RunStep[];
  validations: ValidationRecord[];
  landscapes: LandscapeRecord[];
  curvatures: CurvatureRecord[];
}

/** @throws CriticalSharpnessError `ERR_RUN_DIRECTORY` if it made no step. */
export async function gather(run: StoredRun<TrainConfiguration, typeof trainRecords>): Promise<RunRecords> {
  const { configuration, facts, directory } = run;
  const records: RunRecords = {
    ...{ configuration, facts },
    ...{ steps: [], validations: [], landscapes: [], curvatures: [] },
  };
  for await (const record of run.records()) {
    if (record.type === "step") records.steps.push(withoutEvaluations(record));
    else if (record.type === "validation") records.validations.push(record);
    else if (record.type === "landscape") records.landscapes.push(record);
    else records.curvatures.push(record);
  }
  if (records.steps.length > 0) return records;
  const message = `one without a step. Train it first: critical-sharpness train <config> --out ${directory}`;
  throw badRun("a run that made at least one step", directory, message);
}

function withoutEvaluations({ measurement, ...step }: StepRecord): RunStep {
  if (!measurement) return { ...step, measurement: null };
  const { evaluations: _, ...rest } = measurement;
  return { ...step, measurement: rest };
}
