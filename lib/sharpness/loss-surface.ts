import * as z from "zod";
import { throwIfAborted } from "../errors.js";
import { type Batch, Direction, type Model } from "../models/index.js";
import { callback, count, type OptionsOf, readOptions, signalSchema } from "../options/index.js";
import type { SearchResult } from "../search/index.js";
import { finiteOrNull } from "../statistics.js";
import { ownSignal } from "../torch/index.js";

/** How a line is looked at: what a command shares with the configuration of a run. */
export const landscapeKeys = {
  /** Number of points. Default 40. */
  points: z.int().min(2).max(10_000).default(40).describe("Forward passes along the line."),
  /** The line goes from 0 to this many times its unit: ηc, or what stands in for it. Default 2. */
  extent: z.number().gt(0).default(2).describe("How far the line goes, in units of ηc."),
};

const range = z.tuple([z.number(), z.number()]).readonly();

const passOptions = {
  /** Rows or sequences at a time. Default: all at once. */
  microBatch: count.optional(),
  signal: signalSchema.optional(),
  /** Called after each point. */
  onPoint: callback<() => void>().optional(),
};

const lineShape = {
  ...landscapeKeys,
  ...passOptions,
  /** η of the first and the last point, in place of `extent`; a negative one lies uphill. */
  range: range.optional(),
  /** η of the step's update: the unit where ηc is 0. Default 1e-3. */
  learningRate: z.number().gt(0).default(1e-3),
  perturbation: z.enum(["view", "in-place"]).optional(),
};

const lineSchema = z.strictObject(lineShape);

export type LandscapeOptions = OptionsOf<typeof lineShape>;

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
  const {
    points: count,
    range,
    extent,
    perturbation: mode,
    onPoint,
    ...given
  } = readOptions(lineSchema, options);
  const { microBatch, signal } = given;
  const unit = (Number.isFinite(critical) ? critical : lower) || given.learningRate;
  const learningRates = Array.from({ length: count }, (_, i) =>
    range
      ? range[0] + ((range[1] - range[0]) * i) / Math.max(1, count - 1)
      : (unit * extent * (i + 1)) / count,
  );
  const points: { learningRate: number; loss: number | null }[] = [];
  for (const learningRate of learningRates) {
    const perturbation = { direction, learningRate, mode };
    const loss = await model.loss(batch, { microBatch, signal, perturbation });
    points.push({ learningRate, loss: finiteOrNull(loss) });
    onPoint?.();
  }
  return points;
}

const sliceShape = {
  ...passOptions,
  /** Points along each axis. */
  points: landscapeKeys.points,
  /** Range of η along the first direction. */
  first: range,
  /** Range of ξ along the second. */
  second: range,
};

const sliceSchema = z.strictObject(sliceShape);

export type SliceOptions = OptionsOf<typeof sliceShape>;

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
  options: SliceOptions,
): Promise<Slice> {
  const { points, first, second, microBatch, signal, onPoint } = readOptions(sliceSchema, options);
  const slice: Slice = { first: spaced(first, points), second: spaced(second, points), losses: [] };
  for (const xi of slice.second) {
    const row: (number | null)[] = [];
    for (const eta of slice.first) {
      throwIfAborted(ownSignal(signal, model));
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
