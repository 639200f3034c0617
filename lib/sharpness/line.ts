import { CriticalSharpnessError, expected } from "../errors.js";
import {
  type Batch,
  checkBatch,
  checkDirection,
  type Direction,
  type Gradient,
  type Model,
} from "../models/index.js";

import type { LossAt } from "../search/index.js";
import type { ComputeDtype } from "../torch/index.js";
import type { Measure } from "./measure-options.js";
import { slopeNoise } from "./noise.js";

/** What is known of a line before its first forward pass. */
export interface LineStart {
  /** s = ∇L·Δ */
  slope: number | undefined;
  /** Standard error of s, where the gradient's norm is known. */
  slopeNoise: number | undefined;
  /** L(θ), which a gradient brings along. */
  baseLoss: number | undefined;
}

/** What was given of a line beside its batch and direction. */
export interface GivenOfLine {
  slope?: number;
  baseLoss?: number;
  gradient?: Gradient | Direction;
  gradientNorm?: number;
  subject: string;
}

/** How its losses are computed. */
export interface LinePasses extends Partial<Pick<Measure, "microBatch" | "perturbation">> {
  signal: AbortSignal | undefined;
  dtype?: "float32";
}

/** The loss of one batch along θ − η·Δ, with the weights watched. */
export interface OpenLine {
  lossAt: LossAt;
  start: LineStart;
  /** ‖Δ‖ */
  norm: number;
}

/**
 * Makes the line of a batch and a direction.
 *
 * @param given what was given of the batch: the slope and perhaps the loss, or the gradient to compute them from
 * @throws CriticalSharpnessError `ERR_NON_FINITE_DIRECTION` naming a parameter where Δ is not finite.
 */
export async function openLine(
  model: Model,
  batch: Batch,
  direction: Direction,
  given: GivenOfLine,
  { signal, microBatch, perturbation: mode, dtype }: LinePasses,
): Promise<OpenLine> {
  const { version } = model;
  const known = checkGiven(model, batch, given);
  const norm = await finiteNorm(direction);
  const start = await startOf(known, direction, {
    dtype: dtype ?? model.dtype,
    direction: norm,
    parameters: model.parameterCount,
  });
  return {
    norm,
    start,
    async lossAt(learningRate) {
      const perturbation = learningRate === 0 ? undefined : { direction, learningRate, mode };
      const pass = await model.lossWithVersion(batch, { signal, microBatch, perturbation, dtype });
      if (pass.version !== version)
        throw new CriticalSharpnessError(
          "ERR_WEIGHTS_CHANGED",
          `Expected unchanged weights during a measurement but received version ${pass.version} after ${version}`,
        );
      return pass.loss;
    },
  };
}

/** ‖Δ‖, which tells at once whether all of Δ is finite; one of float64 may overflow though Δ does not. */
async function finiteNorm(direction: Direction): Promise<number> {
  const norm = await direction.norm();
  if (Number.isFinite(norm)) return norm;
  const parameter = await direction.nonFiniteParameter();
  if (parameter === null) return norm;
  throw new CriticalSharpnessError(
    "ERR_NON_FINITE_DIRECTION",
    `Expected finite numbers for the direction but received NaN or infinity in "${parameter}"`,
  );
}

/** What was given, checked. */
interface CheckedGiven {
  slope: number | undefined;
  baseLoss: number | undefined;
  /** The batch's gradient, or its norm alone. */
  gradient: Direction | undefined;
  gradientNorm: number | undefined;
}

function checkGiven(
  model: Model,
  batch: Batch,
  { slope, baseLoss, gradient, gradientNorm, subject }: GivenOfLine,
): CheckedGiven {
  if (slope !== undefined && gradient !== undefined)
    throw expected(`either a slope or a gradient, not both,`, subject, { slope, gradient });
  for (const [name, value] of Object.entries({ baseLoss, gradientNorm }))
    if (value !== undefined && slope === undefined)
      throw expected("a slope beside it", `${subject}: ${name}`, value, "range");
  const given = gradient === undefined ? undefined : checkGradient(model, batch, gradient, subject);
  return { slope, baseLoss: given ? given.loss : baseLoss, gradient: given?.vector, gradientNorm };
}

async function startOf(
  { slope, baseLoss, gradient, gradientNorm }: CheckedGiven,
  direction: Direction,
  { dtype, ...sizes }: { dtype: ComputeDtype; direction: number; parameters: number },
): Promise<LineStart> {
  const norm = gradient ? await gradient.norm() : gradientNorm;
  const noise = norm === undefined ? NaN : slopeNoise(dtype, { ...sizes, gradient: norm });
  return {
    slope: gradient ? await dot(gradient, direction) : slope,
    slopeNoise: Number.isFinite(noise) ? noise : undefined,
    baseLoss,
  };
}

/** @throws CriticalSharpnessError unless it is that of the batch at today's weights, as far as it says. */
function checkGradient(
  model: Model,
  batch: Batch,
  gradient: Gradient | Direction,
  subject: string,
): { vector: Direction; loss: number | undefined } {
  if (!("gradient" in gradient))
    return { vector: checkDirection(gradient, `${subject}: gradient`), loss: undefined };
  const full = gradient;
  const vector = checkDirection(full.gradient, `${subject}: gradient.gradient`);
  checkBatch(full.batch, `${subject}: gradient.batch`);
  if (full.batch !== batch)
    throw new CriticalSharpnessError(
      "ERR_GRADIENT_BATCH",
      `Expected the gradient of the measured batch for ${subject} but received that of another batch`,
    );
  if (full.version !== model.version)
    throw new CriticalSharpnessError(
      "ERR_GRADIENT_VERSION",
      `Expected a gradient at the model's weights (version ${model.version}) for ${subject} but received one of version ${full.version}`,
    );
  return { vector, loss: full.loss };
}

async function dot(gradient: Direction, direction: Direction): Promise<number> {
  const slope = await gradient.dot(direction);
  if (!Number.isFinite(slope))
    throw new CriticalSharpnessError(
      "ERR_NON_FINITE_SLOPE",
      `Expected a finite number for the slope ∇L·Δ but received ${slope}`,
    );
  return slope;
}
