import { CriticalSharpnessError } from "../../errors.js";
import type { Batch, Model } from "../../models/index.js";
import type { Optimizer } from "../../optimizers/index.js";
import { type TakenBatch, takeBatch } from "../../runs/index.js";
import {
  lossAlong,
  type MeasurementRecord,
  measurementRecord,
  type SharpnessMeter,
} from "../../sharpness/index.js";

import { finiteOrNull } from "../../statistics.js";
import type { CurvatureWatch } from "./curvature-watch.js";
import type { TrainConfiguration } from "./train-configuration.js";
import type { CurvatureRecord, LandscapeRecord } from "./train-records.js";

/** What a run's steps work on. */
export interface Training {
  configuration: TrainConfiguration;
  model: Model;
  optimizer: Optimizer;
  meter: SharpnessMeter;
  curvature: CurvatureWatch;
}

export interface StepOutcome {
  loss: number;
  gradientNorm: number;
  /** Without what is measured. */
  seconds: number;
  measurement: MeasurementRecord | null;
  landscape: LandscapeRecord | null;
  curvature: CurvatureRecord | null;
}

/**
 * One step: the gradient goes into the optimizer's state, what is measured is measured along Δ, and the weights move.
 *
 * @throws CriticalSharpnessError `ERR_DIVERGED` if loss or gradient is not finite.
 */
export async function trainingStep(
  training: Training,
  { step, batch, learningRate }: { step: number; batch: Batch; learningRate: number },
): Promise<StepOutcome> {
  const { configuration, optimizer } = training;
  const { recompute, gradientClipping: clipping } = configuration;
  const { microBatch } = configuration.batch;
  const started = performance.now();
  using taken = await takeBatch(training, batch, { microBatch, recompute, clipping }).catch((error) => {
    if (error.code !== "ERR_NON_FINITE_LOSS") throw error;
    throw diverged(step, error.message.replace(/.* but received /, "loss "), error);
  });
  const { loss, gradientNorm } = taken;
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
    throw diverged(step, `loss ${loss} and gradient norm ${gradientNorm}`);
  const measuring = performance.now();
  const measured = isMeasured(training, step)
    ? await measure(training, { step, taken, learningRate })
    : { measurement: null, landscape: null, curvature: null };
  const measuredIn = performance.now() - measuring;
  await optimizer.step({ learningRate });
  const seconds = (performance.now() - started - measuredIn) / 1000;
  return { loss, gradientNorm, seconds, ...measured };
}

function diverged(step: number, received: string, cause?: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_DIVERGED",
    `Expected a finite loss and gradient for step ${step} but received ${received}: the training diverged, lower the learning rate`,
    { cause },
  );
}

function isMeasured({ configuration: { measure, landscape }, curvature }: Training, step: number): boolean {
  const isDue = measure !== null && (step === 1 || step % measure.every === 0);
  return isDue || landscape?.step === step || curvature.isDue(step);
}

async function measure(
  training: Training,
  { step, taken, learningRate }: { step: number; taken: TakenBatch; learningRate: number },
): Promise<Pick<StepOutcome, "measurement" | "landscape" | "curvature">> {
  const { configuration, model, optimizer, meter } = training;
  const { batch, loss: baseLoss } = taken;
  const started = performance.now();
  // Second derivatives need it as a vector; elsewhere it is made of the state where a weight is read, unless that takes long.
  const stored = optimizer.isWhole || training.curvature.isDue(step);
  using direction = await optimizer.direction({ stored });
  const result = await meter.measure({ model, batch, direction, ...taken.known() });
  const measurement = measurementRecord(result, (performance.now() - started) / 1000);
  const curvature = training.curvature.isDue(step)
    ? await training.curvature.measure(training, { step, taken, direction, learningRate })
    : null;
  const { landscape } = configuration;
  if (landscape?.step !== step) return { measurement, landscape: null, curvature };
  const points = await lossAlong(model, batch, direction, result, {
    ...landscape,
    learningRate,
    microBatch: configuration.batch.microBatch,
    perturbation: configuration.measure?.perturbation,
  });
  const criticalLearningRate = finiteOrNull(result.criticalLearningRate);
  return {
    measurement,
    curvature,
    landscape: { type: "landscape", step, baseLoss, criticalLearningRate, learningRate, points },
  };
}
