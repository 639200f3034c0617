import * as z from "zod";
import { finiteOrNull } from "../statistics.js";
import type { HessianResult } from "./hessian.js";

/** An eigenvalue as far as it was found. */
export const eigenvalueSchema = z.object({
  eigenvalue: z.number().nullable(),
  /** ‖Au − λu‖, which bounds its error. */
  residual: z.number().nullable(),
  /** Hessian-vector products. */
  iterations: z.number(),
  converged: z.boolean(),
});

export type EigenvalueRecord = z.output<typeof eigenvalueSchema>;

/** The first eigenvalue of a result. */
export function eigenvalueRecord(result: HessianResult): EigenvalueRecord {
  const { eigenvalues, residuals, iterations, converged } = result;
  return {
    eigenvalue: finiteOrNull(eigenvalues[0] ?? null),
    residual: finiteOrNull(residuals[0] ?? null),
    iterations,
    converged,
  };
}
