import * as z from "zod";
import type { Batch, Direction, Model } from "../models/index.js";
import { checkBatch, checkDirection, checkModel } from "../models/index.js";
import { checkChoice, checkNumber, checkSignal, count, or } from "../options/index.js";

import type { CurvatureOperator } from "../torch/index.js";

/** Which matrix is looked at. */
export interface CurvatureOptions {
  model: Model;
  /** The batch whose mean loss has this curvature. */
  batch: Batch;
  /** The loss's Hessian H (default), or the Gauss–Newton matrix in its place. */
  operator?: CurvatureOperator;
  /** P, the diagonal that an optimizer's `preconditioner()` gives: P^(−½)HP^(−½) is looked at in place of H. */
  preconditioner?: Direction;
  /** Rows or sequences at a time. Default: all at once. */
  microBatch?: number;
  /** Of everything that is drawn: the same seed gives the same result, bit for bit. Default 0. */
  seed?: number;
  signal?: AbortSignal;
}

export const curvatureNames = [
  "model",
  "batch",
  "operator",
  "preconditioner",
  "microBatch",
  "seed",
  "signal",
] as const;

export interface CheckedCurvature {
  model: Model;
  batch: Batch;
  operator: CurvatureOperator;
  preconditioner: Direction | undefined;
  microBatch: number | undefined;
  seed: number;
  signal: AbortSignal | undefined;
}

export function checkCurvature(given: Record<string, unknown>): CheckedCurvature {
  return {
    model: checkModel(given.model),
    batch: checkBatch(given.batch, "batch"),
    operator:
      given.operator === undefined
        ? "hessian"
        : checkChoice<CurvatureOperator>(given.operator, "options.operator", ["hessian", "gauss-newton"]),
    preconditioner:
      given.preconditioner === undefined
        ? undefined
        : checkDirection(given.preconditioner, "options.preconditioner"),
    microBatch:
      given.microBatch === undefined
        ? undefined
        : checkNumber(given.microBatch, "options.microBatch", { minimum: 1, integer: true }),
    seed: checkNumber(or(given.seed, 0), "options.seed", { minimum: 0, integer: true }),
    signal: checkSignal(given.signal, "options.signal"),
  };
}

/** How an eigenvalue is searched. */
export const hessianKeys = {
  tolerance: z.number().gt(0).lt(1).default(0.02).describe("‖Au − λu‖ ≤ tolerance·‖A‖."),
  maximumIterations: count.default(60).describe("Most Hessian-vector products for one eigenvalue."),
};
