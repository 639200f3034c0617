import { Batch, createModel, Direction, type Model } from "../../lib/models/index.js";
import { kinds, makeOptimizer, type Optimizer, type OptimizerOptions } from "../../lib/optimizers/index.js";
import { mlp, numbers } from "../models/files.js";

export const inputs = Float64Array.from({ length: 20 }, (_, i) => Math.sin(i));
export const targets = Float64Array.from({ length: 15 }, (_, i) => Math.cos(2 * i));

/** A perceptron of 51 weights and a batch for it. */
export async function network(dtype: "float32" | "float64" = "float32", seed = 1) {
  return {
    model: await createModel(mlp, { seed, dtype }),
    batch: Batch.examples({ inputs, targets, shape: [5] }),
  };
}

/** Every rule of the registry, so that what holds of one is asked of each. */
export const registered: Record<string, (model: Model, options?: Partial<OptimizerOptions>) => Optimizer> =
  Object.fromEntries(
    kinds.map((type) => [
      type,
      (model, options) => makeOptimizer(model, { type, learningRate: 0.01, weightDecay: 0.1, ...options }),
    ]),
  );

/** Different batches for it. */
export const batchOf = (seed: number): Batch =>
  Batch.examples({ inputs: inputs.map((x) => Math.sin(seed + 3 * x)), targets, shape: [5] });

/** All numbers of a direction, or all weights of a model. */
export async function values(of: Direction | Model): Promise<number[]> {
  const dtype = of instanceof Direction ? of.dtype : of.handle.vectorDtype;
  const all: number[] = [];
  for (const [index, { size }] of of.parameters.entries())
    all.push(...numbers(await of.handle.read(index, 0, 8 * size), dtype));
  return all;
}

/**
 * Some steps of training: the gradients that were taken in, the weights that they were of, and Δ before each step; and the state
 * after them, by role.
 */
export async function trained(model: Model, optimizer: Optimizer, steps: number, rows = 8) {
  const [features, outputs] = [model.parameters[0]?.shape[1], model.parameters.at(-1)?.shape[0]] as number[];
  const numbersOf = (seed: number, size = 0) =>
    Float64Array.from({ length: rows * size }, (_, i) => Math.sin(seed + i * i));
  const [gradients, weights, directions]: number[][][] = [[], [], []];
  for (let t = 0; t < steps; t++) {
    const batch = Batch.examples({
      inputs: numbersOf(t, features),
      targets: numbersOf(2 * t + 1, outputs),
      shape: [rows],
    });
    const { gradient } = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    gradients?.push(await values(gradient));
    weights?.push(await values(model));
    directions?.push(await values(await optimizer.direction()));
    await optimizer.step();
  }
  const state: Record<string, number[]> = {};
  for (const [role, vector] of Object.entries(await optimizer.handle.state())) {
    const all: number[] = [];
    for (const [index, { size }] of model.parameters.entries())
      if (optimizer.handle.roles[index]?.includes(role))
        all.push(...numbers(await vector.read(index, 0, 8 * size), model.handle.vectorDtype));
    state[role] = all;
  }
  return { gradients, weights, directions, state } as {
    gradients: number[][];
    weights: number[][];
    directions: number[][];
    state: Record<string, number[]>;
  };
}

/** The largest |a − b|, over the largest |b|. */
export function apart(a: readonly number[], b: readonly number[]): number {
  const most = (list: readonly number[]) => Math.max(...list.map(Math.abs));
  return most(a.map((x, i) => x - (b[i] as number))) / most(b);
}
