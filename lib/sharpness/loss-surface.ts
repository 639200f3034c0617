import { throwIfAborted } from "../errors.js";
import { type Batch, Direction, type Model } from "../models/index.js";
import type { SearchResult } from "../search/index.js";
import { finiteOrNull } from "../statistics.js";

export interface LandscapeOptions {
  /** Number of points. */
  points: number;
  /** The line goes from 0 to this many times its unit: ηc, or what stands in for it. */
  extent: number;
  /** η of the first and the last point, in place of `extent`; a negative one lies uphill. */
  range?: readonly [from: number, to: number];
  /** η of the step's update: the unit where ηc is 0. */
  learningRate: number;
  microBatch?: number;
  perturbation?: "view" | "in-place";
  signal?: AbortSignal;
  /** Called after each point. */
  onPoint?: () => void;
}

/**
 * The loss of a batch along θ − η·Δ at evenly spaced η, one forward pass each. Without a range they go from 0, which is
 * left out, to `extent` units. The unit is ηc; where the loss was not seen to rise, the largest η that was tried.
 */
export async function lossAlong(
  model: Model,
  batch: Batch,
  direction: Direction,
  found: Pick<SearchResult, "criticalLearningRate" | "lower">,
  options: LandscapeOptions,
): Promise<{ learningRate: number; loss: number | null }[]> {
  const { criticalLearningRate: critical, lower } = found;
  const unit = (Number.isFinite(critical) ? critical : lower) || options.learningRate;
  const { points: count, range } = options;
  const learningRates = Array.from({ length: count }, (_, i) =>
    range
      ? range[0] + ((range[1] - range[0]) * i) / Math.max(1, count - 1)
      : (unit * options.extent * (i + 1)) / count,
  );
  const points: { learningRate: number; loss: number | null }[] = [];
  for (const learningRate of learningRates) {
    const loss = await model.loss(batch, {
      microBatch: options.microBatch,
      signal: options.signal,
      perturbation: { direction, learningRate, mode: options.perturbation },
    });
    points.push({ learningRate, loss: finiteOrNull(loss) });
    options.onPoint?.();
  }
  return points;
}

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
