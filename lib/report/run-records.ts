import { open, readFile } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../errors.js";
import { parseConfiguration, type TrainConfiguration } from "../experiments/configuration.js";
import type {
  CurvatureRecord,
  LandscapeRecord,
  MeasurementRecord,
  StepRecord,
  ValidationRecord,
} from "../experiments/records.js";
import { runFiles } from "../experiments/run-directory.js";
import { isSound } from "./record-shapes.js";

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
  const stored = await readStored(directory);
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
  throw bad("a run that made at least one step", directory, message);
}

function withoutEvaluations({ measurement, ...step }: StepRecord): RunStep {
  if (!measurement) return { ...step, measurement: null };
  const { evaluations: _, ...rest } = measurement;
  return { ...step, measurement: rest };
}

async function readStored(directory: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path.join(directory, runFiles.configuration), "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const received =
      code === "ENOENT" || code === "ENOTDIR"
        ? `one without a config.json. Make a run first: critical-sharpness train <config> --out ${directory}`
        : message;
    throw bad("a run", directory, received, error);
  }
  try {
    const stored: unknown = JSON.parse(text);
    if (isObject(stored) && "data" in stored && "steps" in stored) return stored;
  } catch {
    // Said below: not a run's either way.
  }
  throw bad("a run", directory, "one whose config.json is not a run's");
}

async function* readLines(directory: string): AsyncGenerator<Record<string, unknown>> {
  const file = await open(path.join(directory, runFiles.metrics)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw bad("a readable metrics.jsonl", directory, error.message, error);
  });
  if (!file) return;
  let damaged = 0;
  let count = 0;
  try {
    for await (const line of file.readLines()) {
      count++;
      // Only a last line may be cut short; what stands after a damaged one cannot be relied on.
      if (damaged > 0)
        throw bad("JSON in every line of metrics.jsonl", directory, `something else in line ${damaged}`);
      const record = parsed(line);
      if (record === undefined) damaged = count;
      if (!isObject(record)) continue;
      if (!isSound(record))
        throw bad("the records of a run in metrics.jsonl", directory, `something else in line ${count}`);
      yield record;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw bad("a readable metrics.jsonl", directory, (error as Error).message, error);
  }
}

/** undefined if it is no JSON. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(what: string, directory: string, received: string, cause?: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_RUN_DIRECTORY",
    `Expected ${what} for the run directory "${directory}" but received ${received}`,
    { cause },
  );
}
