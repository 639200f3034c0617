import { finiteOrNull } from "../statistics.js";
import type { MeasuredSharpness } from "./measure-line.js";
import { type Estimate, estimate } from "./record.js";

/** A step over a text's batches: mean and standard error over those that have one. */
export interface StepEstimate extends Estimate {
  /**
   * `unresolved` where most batches could not be told from noise, `unbounded` where the loss of most did not rise so far at any step that
   * was tried.
   */
  status: "resolved" | "unbounded" | "unresolved";
  unbounded: number;
  unresolved: number;
}

/** Where two steps of a text's losses end. */
export interface AlongSteps {
  /** ηc: the loss rises above L(θ). 0 of a batch whose loss rises at once. */
  critical: StepEstimate;
  /** ηa: it rises above L(θ)·(1 + allow). */
  allowed: StepEstimate;
  /** Of each batch, in order. */
  measurements: MeasuredSharpness[];
}

export interface AlongPoint {
  learningRate: number;
  /** Mean over batches; null where one is not finite. */
  loss: number | null;
  /** L(θ − ηΔ)/L(θ), the same. */
  ratio: number | null;
  /** Of the ratio; null of one batch. */
  standardError: number | null;
}

export interface AlongText extends AlongSteps {
  baseLoss: Estimate;
  /** From η = 0 up to the extent. */
  points: AlongPoint[];
}

/** Losses of one batch over η, from 0. */
export type Curve = { learningRate: number; loss: number }[];

export function stepsOf(measurements: MeasuredSharpness[]): AlongSteps {
  return {
    critical: stepEstimate(
      measurements.map(({ status, criticalLearningRate }) => ({
        status,
        learningRate: finiteOrNull(criticalLearningRate),
      })),
    ),
    allowed: stepEstimate(
      measurements.map(({ allowed }) => allowed as NonNullable<MeasuredSharpness["allowed"]>),
    ),
    measurements,
  };
}

function stepEstimate(
  steps: readonly { status: MeasuredSharpness["status"]; learningRate: number | null }[],
): StepEstimate {
  const counted = (wanted: string) => steps.filter(({ status }) => status === wanted).length;
  const [unbounded, unresolved] = [counted("unbounded"), counted("unresolved")];
  const values = steps.flatMap(({ learningRate }) => (learningRate === null ? [] : [learningRate]));
  const most = steps.length / 2;
  const status =
    unresolved > most || values.length + unbounded === 0
      ? "unresolved"
      : unbounded >= most || values.length === 0
        ? "unbounded"
        : "resolved";
  return { ...estimate(values), status, unbounded, unresolved };
}

export function meanCurve(curves: readonly Curve[]): AlongPoint[] {
  const [first] = curves as [Curve];
  return first.map(({ learningRate }, i) => {
    const losses = curves.map((curve) => curve[i]?.loss as number);
    const ratio = estimate(losses.map((loss, k) => loss / (curves[k]?.[0]?.loss as number)));
    return {
      learningRate,
      loss: finiteOrNull(estimate(losses).mean),
      ratio: finiteOrNull(ratio.mean),
      standardError: finiteOrNull(ratio.standardError),
    };
  });
}
