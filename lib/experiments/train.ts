import { checkBoolean, checkOptions, checkSignal, checkString } from "../checks.js";
import { AbortError, expected } from "../errors.js";
import { parseConfiguration, type TrainConfigurationInput } from "./configuration.js";
import type { MetricsRecord } from "./records.js";
import { prepareRun } from "./run-directory.js";
import { RunSession } from "./run-session.js";
import { makeSchedule } from "./schedule.js";
import { trainingStep } from "./training-step.js";
import { versions } from "./versions.js";

export type TrainEvent =
  /** `step` steps are made already. */
  | { type: "start"; step: number; steps: number; parameterCount: number; directory: string }
  | MetricsRecord
  | { type: "checkpoint"; step: number };

export interface TrainOptions {
  /** The run directory: a new one, or that of the same configuration, whose run goes on. */
  directory: string;
  /** Stops the run, after the step that is under way at the latest, with a checkpoint. */
  signal?: AbortSignal;
  /** Called for each event, in order. What it throws ends the run. */
  onProgress?: (event: TrainEvent) => void;
  /** Removes a run that is in the directory and starts again. */
  fresh?: boolean;
}

export interface TrainResult {
  directory: string;
  steps: number;
  /** Tokens, or examples, seen. */
  tokens: number;
  /** Loss of the last step's batch, before its update. */
  loss: number | null;
  validationLoss: number | null;
  /** λc at the last step, if it was measured; null for `non-descent` too. */
  criticalSharpness: number | null;
  /** Steps that were made before. */
  resumedFrom: number;
}

/**
 * Trains a model and measures its critical sharpness on the way, into a run directory: `config.json`, `metrics.jsonl`
 * (a line at a time) and `checkpoint/`. Killed at any moment and called again, it goes on, and the metrics are the same,
 * bit for bit, but for the seconds.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_RUN_DIRECTORY` (the directory has another run), `ERR_DATA`,
 *   `ERR_FILE`, `ERR_CHECKPOINT`, `ERR_DIVERGED`; AbortError.
 */
export async function train(
  configuration: TrainConfigurationInput,
  options: TrainOptions,
): Promise<TrainResult> {
  const { directory, signal, onProgress, fresh } = checkTrainOptions(options);
  const checked = parseConfiguration(configuration);
  if (signal?.aborted) throw new AbortError(signal);
  await prepareRun(directory, checked, { fresh, versions: await versions() });
  await using session = await RunSession.open(directory, checked);
  const resumedFrom = session.step;
  onProgress({
    type: "start",
    step: resumedFrom,
    steps: checked.steps,
    parameterCount: session.training.model.parameterCount,
    directory,
  });
  const reached = await run(session, signal, onProgress);
  if (!reached) throw new AbortError(signal);
  const { lastStep, lastValidation } = session.log;
  return {
    directory,
    steps: session.step,
    tokens: session.tokens,
    loss: lastStep?.loss ?? null,
    validationLoss: lastValidation?.loss ?? null,
    criticalSharpness: lastStep?.measurement?.criticalSharpness ?? null,
    resumedFrom,
  };
}

/** Makes the steps that are missing; false if the signal came before the last. */
async function run(
  session: RunSession,
  signal: AbortSignal | undefined,
  onProgress: (event: TrainEvent) => void,
): Promise<boolean> {
  const { configuration } = session.training;
  const schedule = makeSchedule(configuration);
  const { steps, validation, checkpoint } = configuration;
  const save = async () => {
    if (await session.save()) onProgress({ type: "checkpoint", step: session.step });
  };
  const write = async (record: MetricsRecord) => {
    await session.log.append(record);
    onProgress(record);
  };
  while (session.step < steps && !signal?.aborted) {
    const step = session.step + 1;
    const learningRate = schedule(step);
    const batch = await session.data.training(step);
    const outcome = await trainingStep(session.training, { step, batch, learningRate, signal }).catch(
      (error) => {
        if (error instanceof AbortError) return undefined;
        throw error;
      },
    );
    if (!outcome) break;
    const { landscape, curvature, ...rest } = outcome;
    session.advance(batch.count);
    if (landscape) await write(landscape);
    if (curvature) await write(curvature);
    const { loss, gradientNorm, seconds, measurement } = rest;
    const { tokens } = session;
    await write({ type: "step", step, tokens, loss, learningRate, gradientNorm, seconds, measurement });
    if (validation && (step % validation.every === 0 || step === steps))
      await write({ type: "validation", step, loss: await session.validationLoss() });
    if (step % checkpoint.every === 0) await save();
  }
  await save();
  return session.step === steps;
}

function checkTrainOptions(options: unknown) {
  const { directory, signal, onProgress = () => {}, fresh = false } = checkOptions(options, "options");
  if (typeof onProgress !== "function") throw expected("a function", "options.onProgress", onProgress);
  return {
    directory: checkString(directory, "options.directory"),
    signal: checkSignal(signal, "options.signal"),
    onProgress: onProgress as (event: TrainEvent) => void,
    fresh: checkBoolean(fresh, "options.fresh"),
  };
}
