import type { Batch, Direction, Model } from "../models/index.js";
import type { SearchResult } from "../search/index.js";
import { finiteOrNull } from "./records.js";

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
