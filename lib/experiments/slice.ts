import { throwIfAborted } from "../errors.js";
import { type Batch, Direction, type Model } from "../models/index.js";
import { finiteOrNull } from "./records.js";

export interface SliceOptions {
  /** Points along each axis. */
  points: number;
  /** Range of η along the first direction. */
  first: readonly [from: number, to: number];
  /** Range of ξ along the second. */
  second: readonly [from: number, to: number];
  microBatch?: number;
  signal?: AbortSignal;
  /** Called after each point. */
  onPoint?: () => void;
}

/** L(θ − ηΔ − ξu) on a grid. */
export interface Slice {
  /** η, evenly spaced. */
  first: number[];
  /** ξ, evenly spaced. */
  second: number[];
  /** A row for each ξ; null where the loss was not finite. */
  losses: (number | null)[][];
}

/** The loss of a batch on a plane through θ spanned by two directions: one forward pass for each point. */
export async function lossSlice(
  model: Model,
  batch: Batch,
  directions: readonly [Direction, Direction],
  { points, first, second, microBatch, signal, onPoint }: SliceOptions,
): Promise<Slice> {
  const slice: Slice = { first: spaced(first, points), second: spaced(second, points), losses: [] };
  for (const xi of slice.second) {
    const row: (number | null)[] = [];
    for (const eta of slice.first) {
      throwIfAborted(signal);
      using direction = await Direction.combine(directions, [eta, xi]);
      const perturbation = { direction, learningRate: 1 };
      row.push(finiteOrNull(await model.loss(batch, { microBatch, signal, perturbation })));
      onPoint?.();
    }
    slice.losses.push(row);
  }
  return slice;
}

function spaced([from, to]: readonly [number, number], points: number): number[] {
  return Array.from({ length: points }, (_, i) => from + ((to - from) * i) / (points - 1));
}
