import type { Batch, Direction, Model } from "../models/index.js";
import type { SearchResult } from "../search/index.js";
import { finiteOrNull } from "./records.js";

export interface LandscapeOptions {
  /** Number of points. */
  points: number;
  /** The line goes from 0 to this many times its unit: ηc, or what stands in for it. */
  extent: number;
  /** η of the step's update: the unit where ηc is 0. */
  learningRate: number;
  microBatch?: number;
  perturbation?: "view" | "in-place";
  signal?: AbortSignal;
  /** Called after each point. */
  onPoint?: () => void;
}

/**
 * The loss of a batch along θ − η·Δ at evenly spaced η, one forward pass each; η = 0 is left out. The unit is ηc; where
 * the loss was not seen to rise, the largest η that was tried.
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
  const points: { learningRate: number; loss: number | null }[] = [];
  for (let i = 1; i <= options.points; i++) {
    const learningRate = (unit * options.extent * i) / options.points;
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
