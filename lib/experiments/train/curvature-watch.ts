import { access } from "node:fs/promises";
import path from "node:path";
import {
  directionalSharpness,
  type EigenvalueRecord,
  eigenvalueRecord,
  hessianEigenvalues,
} from "../../curvature/index.js";
import { type Batch, Direction, type Model } from "../../models/index.js";
import type { Optimizer } from "../../optimizers/index.js";
import type { TakenBatch } from "../../runs/index.js";
import { finiteOrNull } from "../../statistics.js";
import type { TrainConfiguration } from "./train-configuration.js";
import type { CurvatureRecord } from "./train-records.js";

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
