import type { Batch, Direction, Gradient, Model } from "../../lib/models/index.js";

/**
 * Stands in for a model on libtorch: one weight θ = 0, direction 1, and for each batch the loss of the line η ↦ loss(η).
 * Records its passes.
 */
export class FakeModel {
  version = 1;
  readonly dtype = "float64";
  readonly parameterDtype = "float64";
  readonly parameters = [];
  readonly parameterCount = 1;
  readonly passes: { learningRate: number; mode: string | undefined; microBatch: number | undefined }[] = [];
  /** Called before each pass. */
  onPass: (count: number) => void = () => {};

  async lossWithVersion(
    batch: FakeBatch,
    options: {
      signal?: AbortSignal;
      microBatch?: number;
      perturbation?: { learningRate: number; mode?: string };
    },
  ): Promise<{ loss: number; version: number }> {
    const learningRate = options.perturbation?.learningRate ?? 0;
    this.passes.push({ learningRate, mode: options.perturbation?.mode, microBatch: options.microBatch });
    this.onPass(this.passes.length);
    return { loss: batch.lossAt(learningRate), version: this.version };
  }

  async gradient(batch: FakeBatch): Promise<Gradient> {
    return {
      loss: batch.lossAt(0),
      gradient: fakeDirection(batch.slope),
      batch: batch as unknown as Batch,
      version: this.version,
    };
  }

  get asModel(): Model {
    return this as unknown as Model;
  }
}

export class FakeBatch {
  readonly kind = "examples";
  readonly shape = [1];
  readonly count = 1;

  constructor(
    readonly lossAt: (eta: number) => number,
    readonly slope: number,
  ) {}

  get asBatch(): Batch {
    return this as unknown as Batch;
  }
}

/** A direction of one number; products are products. */
export function fakeDirection(value: number): Direction & { value: number } {
  const direction = {
    value,
    dot: async (other: { value: number }) => value * other.value,
    norm: async () => Math.abs(value),
    nonFiniteParameter: async () => (Number.isFinite(value) ? null : "weight"),
    scale: async (k: number) => fakeDirection(k * value),
    [Symbol.dispose]: () => {},
  };
  return direction as unknown as Direction & { value: number };
}

/** A batch whose loss is a parabola that crosses its base at `at`. */
export function parabola(at: number, slope = 2, base = 1.5): FakeBatch {
  return new FakeBatch((eta) => base - slope * eta * (1 - eta / at), slope);
}
