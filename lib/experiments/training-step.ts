import { CriticalSharpnessError } from "../errors.js";
import type { SharpnessMeter } from "../measures/index.js";
import type { Batch, Gradient, Model } from "../models/index.js";
import type { Optimizer } from "../optimizers/index.js";
import type { TrainConfiguration } from "./configuration.js";
import type { CurvatureWatch } from "./curvature-watch.js";
import { lossAlong } from "./landscape.js";
import {
  type CurvatureRecord,
  finiteOrNull,
  type LandscapeRecord,
  type MeasurementRecord,
  measurementRecord,
} from "./records.js";

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
 * One step: gradient, optimizer state, Δ, what is measured along it, update. The signal stops it while it
 * computes the gradient, when nothing has changed yet; later the step is made to its end.
 *
 * @throws AbortError; CriticalSharpnessError `ERR_DIVERGED` if loss or gradient is not finite.
 */
export async function trainingStep(
  training: Training,
  {
    step,
    batch,
    learningRate,
    signal,
  }: { step: number; batch: Batch; learningRate: number; signal?: AbortSignal },
): Promise<StepOutcome> {
  const { configuration, model, optimizer } = training;
  const { microBatch } = configuration.batch;
  const started = performance.now();
  const gradient = await model.gradient(batch, { microBatch, signal });
  using vector = gradient.gradient;
  const gradientNorm = await vector.norm();
  if (!Number.isFinite(gradient.loss) || !Number.isFinite(gradientNorm))
    throw new CriticalSharpnessError(
      "ERR_DIVERGED",
      `Expected a finite loss and gradient for step ${step} but received loss ${gradient.loss} and gradient norm ${gradientNorm}: the training diverged, lower the learning rate`,
    );
  await optimizer.accumulate(gradient);
  const measuring = performance.now();
  const measured = isMeasured(training, step)
    ? await measure(training, step, batch, gradient, learningRate)
    : { measurement: null, landscape: null, curvature: null };
  const measuredIn = performance.now() - measuring;
  await optimizer.step({ learningRate });
  const seconds = (performance.now() - started - measuredIn) / 1000;
  return { loss: gradient.loss, gradientNorm, seconds, ...measured };
}

function isMeasured({ configuration: { measure, landscape }, curvature }: Training, step: number): boolean {
  const isDue = measure !== null && (step === 1 || step % measure.every === 0);
  return isDue || landscape?.step === step || curvature.isDue(step);
}

async function measure(
  training: Training,
  step: number,
  batch: Batch,
  gradient: Gradient,
  learningRate: number,
): Promise<Pick<StepOutcome, "measurement" | "landscape" | "curvature">> {
  const { configuration, model, optimizer, meter } = training;
  const started = performance.now();
  using direction = await optimizer.direction();
  const result = await meter.measure({ model, batch, direction, gradient });
  const measurement = measurementRecord(result, (performance.now() - started) / 1000);
  const curvature = training.curvature.isDue(step)
    ? await training.curvature.measure(training, { step, batch, gradient, direction, learningRate })
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
    landscape: {
      type: "landscape",
      step,
      baseLoss: gradient.loss,
      criticalLearningRate,
      learningRate,
      points,
    },
  };
}
