import { access } from "node:fs/promises";
import path from "node:path";
import {
  directionalSharpness,
  type EigenvalueRecord,
  eigenvalueRecord,
  hessianEigenvalues,
} from "../../curvature/index.js";
import { CriticalSharpnessError } from "../../errors.js";
import { type Batch, Direction, type Model } from "../../models/index.js";
import type { CriticalWarmup, Optimizer } from "../../optimizers/index.js";
import { type TakenBatch, takeBatch } from "../../runs/index.js";
import {
  lossAlong,
  type MeasurementRecord,
  measurementRecord,
  type SharpnessMeter,
} from "../../sharpness/index.js";
import { finiteOrNull } from "../../statistics.js";
import type { TrainConfiguration } from "./train-configuration.js";
import type { CurvatureRecord, LandscapeRecord } from "./train-records.js";

/** What a run's steps work on. */
export interface Training {
  configuration: TrainConfiguration;
  model: Model;
  optimizer: Optimizer;
  meter: SharpnessMeter;
  /** Of a schedule that takes ηc. */
  warmup: CriticalWarmup | null;
  curvature: CurvatureWatch;
}

export interface StepOutcome {
  loss: number;
  /** η of the update. */
  learningRate: number;
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
 * @param planned η of the schedule; where that takes ηc too, η may be smaller
 * @throws Divergence (`ERR_DIVERGED`) if loss or gradient is not finite.
 */
export async function trainingStep(
  training: Training,
  { step, batch, planned }: { step: number; batch: Batch; planned: number },
): Promise<StepOutcome> {
  const { configuration, optimizer } = training;
  const { recompute, gradientClipping: clipping } = configuration;
  const { microBatch } = configuration.batch;
  const started = performance.now();
  using taken = await takeBatch(training, batch, { microBatch, recompute, clipping }).catch((error) => {
    if (error.code !== "ERR_NON_FINITE_LOSS") throw error;
    throw new Divergence(step, error.message.replace(/.* but received /, "loss "), error);
  });
  const { loss, gradientNorm } = taken;
  if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
    throw new Divergence(step, `loss ${loss} and gradient norm ${gradientNorm}`);
  const measuring = performance.now();
  const measured = isMeasured(training, step)
    ? await measure(training, { step, taken, planned })
    : { measurement: null, landscape: null, curvature: null, learningRate: allowed(training, planned) };
  const measuredIn = performance.now() - measuring;
  if (configuration.buffers === "moved") await training.model.moveBuffers(batch);
  await optimizer.step({ learningRate: measured.learningRate });
  const seconds = (performance.now() - started - measuredIn) / 1000;
  return { loss, gradientNorm, seconds, ...measured };
}

/** A step whose loss or gradient is not finite. */
export class Divergence extends CriticalSharpnessError {
  /** @param received what they were */
  constructor(
    step: number,
    readonly received: string,
    cause?: unknown,
  ) {
    super(
      "ERR_DIVERGED",
      `Expected a finite loss and gradient for step ${step} but received ${received}: the training diverged, lower the learning rate`,
      { cause },
    );
  }
}

function isMeasured({ configuration: { measure, landscape }, curvature }: Training, step: number): boolean {
  const isDue = measure !== null && (step === 1 || step % measure.every === 0);
  return isDue || landscape?.step === step || curvature.isDue(step);
}

const allowed = ({ warmup }: Training, planned: number) => Math.min(planned, warmup?.current ?? Infinity);

async function measure(
  training: Training,
  { step, taken, planned }: { step: number; taken: TakenBatch; planned: number },
): Promise<Pick<StepOutcome, "learningRate" | "measurement" | "landscape" | "curvature">> {
  const { configuration, model, optimizer, meter } = training;
  const { batch, loss: baseLoss } = taken;
  const started = performance.now();
  // Second derivatives need it as a vector; elsewhere it is made of the state where a weight is read, unless that takes long.
  const stored = optimizer.isWhole || training.curvature.isDue(step);
  using direction = await optimizer.direction({ stored });
  const result = await meter.measure({ model, batch, direction, ...taken.known() });
  const measurement = measurementRecord(result, (performance.now() - started) / 1000);
  training.warmup?.limit(result);
  const learningRate = allowed(training, planned);
  const curvature = training.curvature.isDue(step)
    ? await training.curvature.measure(training, { step, taken, direction, learningRate })
    : null;
  const { landscape } = configuration;
  if (landscape?.step !== step) return { learningRate, measurement, landscape: null, curvature };
  const points = await lossAlong(model, batch, direction, result, {
    points: landscape.points,
    extent: landscape.extent,
    learningRate,
    microBatch: configuration.batch.microBatch,
    perturbation: configuration.measure?.perturbation,
  });
  const criticalLearningRate = finiteOrNull(result.criticalLearningRate);
  return {
    learningRate,
    measurement,
    curvature,
    landscape: { type: "landscape", step, baseLoss, criticalLearningRate, learningRate, points },
  };
}

/** The matrices whose largest eigenvalue is watched; also the names of the files of their eigenvectors. */
const watched = ["hessian", "preconditioned"] as const;
type Watched = (typeof watched)[number];

/**
 * Hessian sharpness, preconditioned sharpness and directional sharpness along a training run. Each eigenvalue starts from
 * the eigenvector found before, which is most of the way in training.
 */
export class CurvatureWatch implements Disposable {
  readonly #configuration: TrainConfiguration;
  readonly #eigenvectors = new Map<Watched, Direction>();

  constructor(configuration: TrainConfiguration) {
    this.#configuration = configuration;
  }

  /** Whether it measures at a step. */
  isDue(step: number): boolean {
    const { hessian } = this.#configuration;
    return hessian !== null && (step === 1 || step % hessian.every === 0);
  }

  /** Measures before the update of a step, with today's optimizer state. */
  async measure(
    { model, optimizer }: { model: Model; optimizer: Optimizer },
    {
      step,
      taken,
      direction,
      learningRate,
    }: { step: number; taken: TakenBatch; direction: Direction; learningRate: number },
  ): Promise<CurvatureRecord> {
    const started = performance.now();
    const { batch } = taken;
    const { slope, gradient } = taken.known();
    const hessian = await this.#largest("hessian", model, batch);
    using preconditioner = optimizer.hasMetric ? await optimizer.preconditioner() : null;
    const preconditioned = preconditioner
      ? await this.#largest("preconditioned", model, batch, preconditioner)
      : null;
    const { microBatch } = this.#configuration.batch;
    const along = await directionalSharpness({ model, batch, direction, slope, gradient, microBatch });
    return {
      type: "curvature",
      step,
      learningRate,
      hessian,
      preconditioned,
      directionalSharpness: finiteOrNull(along.directionalSharpness),
      threshold: optimizer.threshold(learningRate),
      seconds: (performance.now() - started) / 1000,
    };
  }

  /** Writes the eigenvectors, so that a run which goes on finds what it would have found. */
  async save(folder: string): Promise<void> {
    for (const [name, vector] of this.#eigenvectors) await vector.save(file(folder, name));
  }

  async load(folder: string, model: Model): Promise<void> {
    for (const name of watched) {
      const there = await access(file(folder, name)).then(
        () => true,
        () => false,
      );
      if (there) this.#keep(name, await Direction.load(file(folder, name), model));
    }
  }

  [Symbol.dispose](): void {
    for (const vector of this.#eigenvectors.values()) vector.dispose();
    this.#eigenvectors.clear();
  }

  async #largest(
    name: Watched,
    model: Model,
    batch: Batch,
    preconditioner?: Direction,
  ): Promise<EigenvalueRecord> {
    const { hessian, batch: shape, seed } = this.#configuration;
    const result = await hessianEigenvalues({
      model,
      batch,
      preconditioner,
      tolerance: hessian?.tolerance,
      maximumIterations: hessian?.maximumIterations,
      microBatch: shape.microBatch,
      seed,
      initial: this.#eigenvectors.get(name),
      eigenvectors: true,
    });
    this.#keep(name, result.eigenvectors[0] as Direction);
    return eigenvalueRecord(result);
  }

  #keep(name: Watched, vector: Direction): void {
    this.#eigenvectors.get(name)?.dispose();
    this.#eigenvectors.set(name, vector);
  }
}

const file = (folder: string, name: Watched) => path.join(folder, `eigenvector-${name}.safetensors`);
