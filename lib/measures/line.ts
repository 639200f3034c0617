import { checkNumber } from "../checks.js";
import { CriticalSharpnessError, expected } from "../errors.js";
import type { Batch, Direction, Gradient, Model } from "../models/index.js";
import type { LossAt } from "../search/index.js";
import { checkBatch, checkDirection, type MeasureOptions } from "./options.js";

/** What is known of a line before its first forward pass. */
export interface LineStart {
  /** s = ∇L·Δ */
  slope: number | undefined;
  /** L(θ), which a gradient brings along. */
  baseLoss: number | undefined;
}

interface KnownOfLine {
  slope?: unknown;
  baseLoss?: unknown;
  gradient?: unknown;
  subject: string;
}

/** The loss of one batch along θ − η·Δ, with the weights watched. */
export interface MeasuredLine {
  lossAt: LossAt;
  start: LineStart;
}

/**
 * Makes the line of a batch and a direction.
 *
 * @param given what was given of the batch: the slope and perhaps the loss, or the gradient to compute them from
 */
export async function openLine(
  model: Model,
  batch: Batch,
  direction: Direction,
  given: KnownOfLine,
  options: MeasureOptions & { signal?: AbortSignal },
): Promise<MeasuredLine> {
  const { signal, microBatch, perturbation: mode } = options;
  const version = model.version;
  const start = await slopeAndLoss(model, batch, direction, given);
  return {
    start,
    async lossAt(learningRate) {
      const perturbation = learningRate === 0 ? undefined : { direction, learningRate, mode };
      const pass = await model.lossWithVersion(batch, { signal, microBatch, perturbation });
      if (pass.version !== version)
        throw new CriticalSharpnessError(
          "ERR_WEIGHTS_CHANGED",
          `Expected unchanged weights during a measurement but received version ${pass.version} after ${version}`,
        );
      return pass.loss;
    },
  };
}

async function slopeAndLoss(
  model: Model,
  batch: Batch,
  direction: Direction,
  { slope, baseLoss, gradient, subject }: KnownOfLine,
): Promise<LineStart> {
  if (slope !== undefined && gradient !== undefined)
    throw expected(`either a slope or a gradient, not both,`, subject, { slope, gradient });
  if (baseLoss !== undefined && slope === undefined)
    throw expected("a slope beside it", `${subject}: baseLoss`, baseLoss, "range");
  if (slope !== undefined)
    return {
      slope: checkNumber(slope, `${subject}: slope`),
      baseLoss: baseLoss === undefined ? undefined : checkNumber(baseLoss, `${subject}: baseLoss`),
    };
  if (gradient === undefined) return { slope: undefined, baseLoss: undefined };
  if (typeof gradient === "object" && gradient !== null && "gradient" in gradient) {
    const full = gradient as Gradient;
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
    return { slope: await dot(vector, direction), baseLoss: full.loss };
  }
  return {
    slope: await dot(checkDirection(gradient, `${subject}: gradient`), direction),
    baseLoss: undefined,
  };
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
