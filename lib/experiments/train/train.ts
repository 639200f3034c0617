import * as z from "zod";
import { readOptions } from "../../options/index.js";
import { type RankOptions, type RunOptions, rankOptions, runOptions } from "../../runs/index.js";
import { makeSchedule } from "../schedule.js";
import { parseConfiguration, type TrainConfigurationInput } from "./train-configuration.js";
import { type TrainEvent, TrainSession } from "./train-session.js";
import { Divergence, trainingStep } from "./training-step.js";

/** The signal stops a run after the step that is under way, with a checkpoint. */
export interface TrainOptions extends RunOptions<TrainEvent>, RankOptions {}
const trainOptions = z.strictObject({ ...runOptions<TrainEvent>(), ...rankOptions });

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
 * bit for bit, but for the seconds. It holds the weights, the optimizer's state and the activations of a micro-batch; gradients
 * go straight into the state, unless they are clipped.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_RUN_DIRECTORY` (the directory has another run), `ERR_RUN_LOCKED` (another
 *   process works in it), `ERR_DATA`, `ERR_FILE`, `ERR_CHECKPOINT`, `ERR_DIVERGED`; AbortError.
 */
export async function train(
  configuration: TrainConfigurationInput,
  options: TrainOptions,
): Promise<TrainResult> {
  const checked = readOptions(trainOptions, options);
  const parsed = parseConfiguration(configuration);
  await using session = await TrainSession.open(parsed, checked);
  const resumedFrom = session.step;
  await session.run.tell({
    type: "start",
    step: resumedFrom,
    steps: parsed.steps,
    parameterCount: session.training.model.parameterCount,
    directory: checked.directory,
  });
  await makeSteps(session);
  if (session.step < parsed.steps) throw session.run.stopped();
  const { lastStep, lastValidation } = session;
  return {
    directory: checked.directory,
    steps: session.step,
    tokens: session.tokens,
    loss: lastStep?.loss ?? null,
    validationLoss: lastValidation?.loss ?? null,
    criticalSharpness: lastStep?.measurement?.criticalSharpness ?? null,
    resumedFrom,
  };
}

/** Makes the steps that are missing, as far as the signal lets it. */
async function makeSteps(session: TrainSession): Promise<void> {
  const { training, run } = session;
  const { configuration } = training;
  const schedule = makeSchedule(configuration, configuration.optimizer.learningRate);
  const { steps, validation, checkpoint } = configuration;
  while (session.step < steps && !(await run.isStopped())) {
    const step = session.step + 1;
    const planned = schedule(step);
    const batch = await session.data.training(step);
    const { landscape, curvature, ...record } = await trainingStep(training, {
      step,
      batch,
      planned,
    }).catch(async (error) => {
      if (error instanceof Divergence)
        await session.record({ type: "diverged", step, received: error.received });
      throw error;
    });
    session.step = step;
    session.tokens += batch.count;
    if (landscape) await session.record(landscape);
    if (curvature) await session.record(curvature);
    const { loss, learningRate, gradientNorm, seconds, measurement } = record;
    const { tokens } = session;
    await session.record({
      type: "step",
      step,
      tokens,
      loss,
      learningRate,
      gradientNorm,
      seconds,
      measurement,
    });
    if (validation && (step % validation.every === 0 || step === steps))
      await session.record({ type: "validation", step, loss: await session.validationLoss() });
    if (step % checkpoint.every === 0) await session.save();
  }
  await session.save();
}
