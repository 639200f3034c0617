import type { Batch, Direction, ExpertChanges, Model } from "../models/index.js";
import {
  type AllowedStep,
  type LossAt,
  type SearchOptions,
  type SearchResult,
  significance,
} from "../search/index.js";
import type { ComputeDtype } from "../torch/index.js";
import { withAllowed } from "./allowed.js";
import { type GivenOfLine, type LinePasses, type OpenLine, openLine } from "./line.js";
import type { Measure } from "./measure-options.js";
import { expectedLossNoise, type NoiseCircumstances, type NoiseMemory, scatterOfLosses } from "./noise.js";

/** What was found along a model's line. `forwardPasses` counts all, those that the noise was learnt from included. */
export interface MeasuredSharpness extends SearchResult {
  /** The arithmetic of its losses: float32 where `resolve` measured again. */
  readonly dtype: ComputeDtype;
  /** Of a mixture of experts with a crossing: tokens that have other experts at θ − ηc·Δ than at θ (see `Model.expertChanges`). */
  readonly expertChanges?: ExpertChanges;
  /** The largest step within the budget, if `allow` gave one. */
  readonly allowed?: AllowedStep;
}

/** A line of a model, and what was given of it. */
export interface ModelLine extends GivenOfLine {
  model: Model;
  batch: Batch;
  direction: Direction;
  signal?: AbortSignal;
}

/** Searches a line of which this much is known. `norm`: ‖Δ‖. */
export type SearchLine = (lossAt: LossAt, known: SearchOptions, norm: number) => Promise<SearchResult>;

/** Part of the tolerance below which noise moves no answer. */
const harmless = 1 / 32;
/** Factor by which the noise that is expected of an arithmetic may fall short of the true one. */
const unexpected = 30;
/** A σ this much away from the one that a search went by may have changed what it found. */
const other = 1.5;

/**
 * Measures a line with the noise of its losses known: searches it with the noise that was measured of this model before, or that is
 * expected; where there was none, measures the noise near the crossing, and searches again if that changes the answer.
 */
export async function measureLine(
  line: ModelLine,
  measure: Measure,
  search: SearchLine,
  memory: NoiseMemory,
): Promise<MeasuredSharpness> {
  const found = await searchLine(line, measure, search, memory);
  const { model, batch, direction, signal } = line;
  if (!model.hasExperts || found.status !== "converged") return found;
  const { perturbation: mode, microBatch } = measure;
  const dtype = found.dtype === model.dtype ? undefined : "float32";
  const perturbation = { direction, learningRate: found.criticalLearningRate, mode };
  const expertChanges = await model.expertChanges(batch, { perturbation, microBatch, signal, dtype });
  return { ...found, expertChanges, forwardPasses: found.forwardPasses + 2 };
}

async function searchLine(
  line: ModelLine,
  measure: Measure,
  search: SearchLine,
  memory: NoiseMemory,
): Promise<MeasuredSharpness> {
  const { perturbation, microBatch, lossNoise, resolve, tolerance, method } = measure;
  const { model, batch, direction, signal } = line;
  const passes: LinePasses = { perturbation, microBatch, signal };
  const opened = await openLine(model, batch, direction, line, passes);
  const given = { batch, lossNoise, tolerance, method, memory };
  const found = await searchThroughNoise({ ...opened, ...given, dtype: model.dtype }, search);
  if (found.reason !== "noise" || resolve !== "float32" || model.dtype !== "bfloat16")
    return withAllowed(found, opened, line, measure, memory);
  const exact = await openInFloat32(line, passes);
  const again = await searchThroughNoise(
    { ...exact, ...given, lossNoise: undefined, dtype: "float32" },
    search,
  );
  const whole = { ...again, forwardPasses: found.forwardPasses + again.forwardPasses };
  return withAllowed(whole, exact, line, measure, memory);
}

/** The same line with its loss and, where a slope was given, its slope computed in float32. */
async function openInFloat32(line: ModelLine, passes: LinePasses): Promise<OpenLine> {
  const { model, batch, direction, signal, subject } = line;
  const dtype = "float32";
  const { microBatch } = passes;
  const isKnown = line.slope !== undefined || line.gradient !== undefined;
  const gradient = isKnown ? await model.gradient(batch, { microBatch, signal, dtype }) : undefined;
  using _ = gradient?.gradient;
  return await openLine(model, batch, direction, { gradient, subject }, { ...passes, dtype });
}

interface NoisyLine extends OpenLine {
  batch: Batch;
  dtype: ComputeDtype;
  tolerance: number;
  method: Measure["method"];
  /** σ, where it was given. */
  lossNoise: number | undefined;
  memory: NoiseMemory;
}

async function searchThroughNoise(line: NoisyLine, search: SearchLine): Promise<MeasuredSharpness> {
  const { start, norm, dtype, memory } = line;
  let forwardPasses = 0;
  const lossAt: LossAt = (learningRate) => {
    forwardPasses++;
    return line.lossAt(learningRate);
  };
  const ended = (result: SearchResult): MeasuredSharpness => ({ ...result, dtype, forwardPasses });
  // s below 0 is the answer, and needs no pass.
  const falls = !(start.slope !== undefined && start.slope < -significance * (start.slopeNoise ?? 0));
  const baseLoss = start.baseLoss ?? (falls ? await lossAt(0) : undefined);
  const known = { ...start, baseLoss };
  if (line.lossNoise !== undefined || baseLoss === undefined || !Number.isFinite(baseLoss))
    return ended(await search(lossAt, { ...known, lossNoise: line.lossNoise }, norm));

  const circumstances = (learningRate: number | null): NoiseCircumstances => ({
    dtype,
    count: line.batch.count,
    loss: baseLoss,
    distance: learningRate === null ? null : learningRate * norm,
  });
  const expected =
    memory.recall(circumstances(null))?.sigma ?? expectedLossNoise(dtype, line.batch, baseLoss);
  const found = await search(lossAt, { ...known, lossNoise: expected }, norm);
  const center = whereNoiseMatters(found);
  if (center === undefined) return ended(found);
  // Twelve passes would be most of what an estimate costs.
  const isFarBelow = unexpected * (found.noise ?? Infinity) <= harmless * line.tolerance;
  if (line.method === "estimated" && isFarBelow && !memory.recall(circumstances(center)))
    return ended({ ...found, noise: null });
  if (!memory.recall(circumstances(center))?.isSettled) {
    const scatter = await scatterOfLosses(lossAt, center, found.noise ?? 1);
    // None at all is of losses that are too coarse for points so near each other.
    if (scatter > 0) memory.remember(circumstances(center), scatter);
  }
  const lossNoise = memory.recall(circumstances(center))?.sigma;
  if (lossNoise === undefined) return ended(found);
  const ratio = lossNoise / expected;
  const noise = found.noise === null ? null : found.noise * ratio;
  const isOff = ratio > other || ratio < 1 / other;
  const matters =
    found.status === "unresolved" || Math.max(found.noise ?? 0, noise ?? 0) > harmless * line.tolerance;
  if (!isOff || !matters) return ended({ ...found, noise });
  return ended(
    await search(lossAt, { ...known, lossNoise, initialLearningRate: center, initialError: 1 }, norm),
  );
}

/** Where along a line losses are to be told from L(θ): at its crossing, or at the rise that was seen. */
function whereNoiseMatters({
  status,
  reason,
  criticalLearningRate,
  upper,
}: SearchResult): number | undefined {
  if (status === "converged") return criticalLearningRate;
  return reason === "noise" && upper > 0 && Number.isFinite(upper) ? upper : undefined;
}
