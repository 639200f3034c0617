import type { HessianResult, MeasuredSharpness } from "../measures/index.js";

/** Lines of a run's metrics.jsonl. Infinity and NaN are written as null; what null stands for is in `status`. */
export type MetricsRecord = StepRecord | LandscapeRecord | CurvatureRecord | ValidationRecord;

export interface MeasurementRecord {
  /** ηc: null for `unbounded` and `unresolved`, 0 for `non-descent`. */
  criticalLearningRate: number | null;
  /** λc = 2/ηc: null for `non-descent` and `unresolved`, 0 for `unbounded`. */
  criticalSharpness: number | null;
  lower: number | null;
  upper: number | null;
  status: MeasuredSharpness["status"];
  reason: MeasuredSharpness["reason"];
  firstCrossing: MeasuredSharpness["firstCrossing"];
  /** s = ∇L·Δ */
  slope: number | null;
  baseLoss: number | null;
  /** Standard error of ηc that the rounding of losses makes, relative to it. */
  noise: number | null;
  /** Arithmetic of the losses. */
  dtype: MeasuredSharpness["dtype"];
  evaluations: { learningRate: number; loss: number | null }[];
  forwardPasses: number;
  seconds: number;
}

export interface StepRecord {
  type: "step";
  /** Counts from 1. */
  step: number;
  /** Tokens, or examples, seen up to and with this step. */
  tokens: number;
  /** L(θ) of the step's batch, before the update. */
  loss: number;
  /** η of the update. */
  learningRate: number;
  /** ‖∇L‖ */
  gradientNorm: number;
  /** Time of the step without measurement and landscape. */
  seconds: number;
  /** Along the Δ that the update takes, before it takes it. */
  measurement: MeasurementRecord | null;
}

/** The loss along the Δ of a step, before its update. */
export interface LandscapeRecord {
  type: "landscape";
  step: number;
  baseLoss: number;
  criticalLearningRate: number | null;
  /** η of the step's update. */
  learningRate: number;
  points: { learningRate: number; loss: number | null }[];
}

/** An eigenvalue as far as it was found: `residual` is the norm ‖Au − λu‖, which bounds its error. */
export interface EigenvalueRecord {
  eigenvalue: number | null;
  residual: number | null;
  /** Hessian-vector products. */
  iterations: number;
  converged: boolean;
}

/** Curvature by second derivatives of the loss of a step's batch, before its update. */
export interface CurvatureRecord {
  type: "curvature";
  step: number;
  /** η of the step's update. */
  learningRate: number;
  /** λmax(H) */
  hessian: EigenvalueRecord;
  /** λmax(P⁻¹H) with the optimizer's P; null where P = 1. */
  preconditioned: EigenvalueRecord | null;
  /** ΔᵀHΔ/(∇L·Δ) */
  directionalSharpness: number | null;
  /** What λmax(P⁻¹H), or λmax(H) where P = 1, is compared with: see `stabilityThreshold`. */
  threshold: number;
  seconds: number;
}

/** After the update of a step. */
export interface ValidationRecord {
  type: "validation";
  step: number;
  loss: number;
}

export function finiteOrNull(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}

export function measurementRecord(result: MeasuredSharpness, seconds: number): MeasurementRecord {
  return {
    criticalLearningRate: finiteOrNull(result.criticalLearningRate),
    criticalSharpness: finiteOrNull(result.criticalSharpness),
    lower: finiteOrNull(result.lower),
    upper: finiteOrNull(result.upper),
    status: result.status,
    reason: result.reason,
    firstCrossing: result.firstCrossing,
    slope: finiteOrNull(result.slope),
    baseLoss: finiteOrNull(result.baseLoss),
    noise: finiteOrNull(result.noise),
    dtype: result.dtype,
    evaluations: result.evaluations.map(({ learningRate, loss }) => ({
      learningRate,
      loss: finiteOrNull(loss),
    })),
    forwardPasses: result.forwardPasses,
    seconds,
  };
}

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
