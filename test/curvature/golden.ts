import { readFileSync } from "node:fs";
import path from "node:path";

interface Spectrum {
  /** Three each, in descending order. */
  largest: number[];
  smallest: number[];
  trace: number;
  /** Shares of the gradient along the three largest. */
  weights: number[];
}

/** What PyTorch found on the dense matrices of a case of test/golden, for its last batch. */
export interface DenseCase {
  hessian: Spectrum;
  preconditioned: Spectrum;
  gaussNewton: Spectrum;
  gradient: { slope: number; directional: number };
  adamw: { slope: number; directional: number };
}

export const dense: Record<string, DenseCase> = JSON.parse(
  readFileSync(path.join(import.meta.dirname, "golden.json"), "utf8"),
).cases;

/** Each eigenvalue of this case's matrices is there twice, and a Krylov space has it once. */
export const twofold = (name: string): boolean => name === "mlp-linear-mse";
