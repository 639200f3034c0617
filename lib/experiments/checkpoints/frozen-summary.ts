import type { EigenvalueRecord } from "../../curvature/index.js";
import {
  type Estimate,
  estimate,
  estimateSharpness,
  type MeasuredSharpness,
  type SharpnessEstimate,
} from "../../sharpness/index.js";
import type { CheckedFrozenOptions } from "./frozen-options.js";

/** What was measured on one batch. */
export interface FrozenMeasurement {
  /** The batch's place, which counts from 0; the accumulated ones come first. */
  index: number;
  /** L(θ) */
  loss: number;
  /** ‖∇L‖ */
  gradientNorm: number;
  /** Along the whole Δ. */
  measurement: MeasuredSharpness;
  /** Along the part of Δ that belongs to each part of the model. */
  parts: Record<string, MeasuredSharpness>;
  /** λdir; null unless asked for, and where Δ does not descend. */
  directionalSharpness: number | null;
  /** λmax(P⁻¹H); null unless asked for. */
  preconditioned: EigenvalueRecord | null;
}

export type FrozenEvent =
  | { type: "accumulated"; index: number; loss: number }
  | ({ type: "measured" } & FrozenMeasurement);

/** What several batches say together. */
export interface FrozenSummary {
  criticalSharpness: SharpnessEstimate;
  /** Over the measured batches. */
  loss: Estimate;
  parts: Record<string, SharpnessEstimate>;
  /** Over the batches along which Δ descends. Null unless asked for. */
  directionalSharpness: Estimate | null;
  /** Null unless asked for. */
  preconditioned: Estimate | null;
}

/** What a summary reads of a batch. */
type Summarized = Pick<FrozenMeasurement, "loss" | "directionalSharpness" | "preconditioned"> & {
  measurement: Sharpness;
  parts: Record<string, Sharpness>;
};
type Sharpness = Pick<MeasuredSharpness, "status" | "criticalSharpness">;

export function summarize(
  { parts, directional, hessian }: Pick<CheckedFrozenOptions, "parts" | "directional" | "hessian">,
  batches: readonly Summarized[],
): FrozenSummary {
  const present = (values: (number | null | undefined)[]) => values.filter((x) => typeof x === "number");
  return {
    criticalSharpness: estimateSharpness(batches.map((b) => b.measurement)),
    loss: estimate(batches.map((b) => b.loss)),
    parts: Object.fromEntries(
      parts.map(([name]) => [name, estimateSharpness(batches.map((b) => b.parts[name] as Sharpness))]),
    ),
    directionalSharpness: directional ? estimate(present(batches.map((b) => b.directionalSharpness))) : null,
    preconditioned: hessian ? estimate(present(batches.map((b) => b.preconditioned?.eigenvalue))) : null,
  };
}
