import * as z from "zod";
import { eigenvalueSchema } from "../../curvature/index.js";
import type { RecordOf } from "../../runs/index.js";
import { finite, measurementSchema, real } from "../../sharpness/index.js";

/** Lines of a training run's metrics.jsonl. */
export const trainRecords = {
  step: z.object({
    /** Counts from 1. */
    step: z.number(),
    /** Tokens, or examples, seen up to and with this step. */
    tokens: z.number(),
    /** L(θ) of the step's batch, before the update. */
    loss: real,
    /** η of the update. */
    learningRate: real,
    /** ‖∇L‖, before it was clipped. */
    gradientNorm: real,
    /** Time of the step without measurement and landscape. */
    seconds: z.number(),
    /** Along the Δ that the update takes, before it takes it. */
    measurement: measurementSchema.nullable(),
  }),
  /** The loss along the Δ of a step, before its update. */
  landscape: z.object({
    step: z.number(),
    baseLoss: real,
    criticalLearningRate: finite,
    /** η of the step's update. */
    learningRate: z.number(),
    points: z.array(z.object({ learningRate: z.number(), loss: finite })),
  }),
  /** Curvature by second derivatives of the loss of a step's batch, before its update. */
  curvature: z.object({
    step: z.number(),
    /** η of the step's update. */
    learningRate: z.number(),
    /** λmax(H) */
    hessian: eigenvalueSchema,
    /** λmax(P⁻¹H) with the optimizer's P; null where P = 1, and where there is none. */
    preconditioned: eigenvalueSchema.nullable(),
    /** ΔᵀHΔ/(∇L·Δ) */
    directionalSharpness: finite,
    /** What λmax(P⁻¹H), or λmax(H) where P = 1, is compared with: see `Optimizer.threshold`. */
    threshold: z.number().nullable(),
    seconds: z.number(),
  }),
  /** After the update of a step. */
  validation: z.object({ step: z.number(), loss: real }),
} as const;

export type MetricsRecord = RecordOf<typeof trainRecords>;
export type StepRecord = Extract<MetricsRecord, { type: "step" }>;
export type LandscapeRecord = Extract<MetricsRecord, { type: "landscape" }>;
export type CurvatureRecord = Extract<MetricsRecord, { type: "curvature" }>;
export type ValidationRecord = Extract<MetricsRecord, { type: "validation" }>;

/** The numbers of a record for TensorBoard. */
export function trainScalars(
  record: MetricsRecord,
): { step: number; values: Record<string, number> } | undefined {
  const { step } = record;
  switch (record.type) {
    case "step": {
      const { loss, learningRate, gradientNorm, measurement } = record;
      const sharpness = measurement?.criticalSharpness ?? NaN;
      const values = {
        "loss/training": loss,
        learning_rate: learningRate,
        gradient_norm: gradientNorm,
        ...(measurement && {
          "sharpness/critical": sharpness,
          "sharpness/two_over_learning_rate": 2 / learningRate,
          "sharpness/critical_over_threshold": (sharpness * learningRate) / 2,
          forward_passes: measurement.forwardPasses,
        }),
      };
      return { step, values };
    }
    case "curvature":
      return {
        step,
        values: {
          "curvature/hessian": record.hessian.eigenvalue ?? NaN,
          "curvature/preconditioned": record.preconditioned?.eigenvalue ?? NaN,
          "curvature/directional": record.directionalSharpness ?? NaN,
          "curvature/threshold": record.threshold ?? NaN,
        },
      };
    case "validation":
      return { step, values: { "loss/validation": record.loss } };
    default:
      return undefined;
  }
}
