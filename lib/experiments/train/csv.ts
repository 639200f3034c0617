import { type CsvCell, csvText } from "../../report/index.js";
import type { CurvatureRecord } from "./records.js";
import type { RunRecords, RunStep } from "./stored.js";

const columns = [
  "step",
  "tokens",
  "loss",
  "learningRate",
  "gradientNorm",
  "seconds",
  "validationLoss",
  "status",
  "reason",
  "firstCrossing",
  "criticalLearningRate",
  "criticalSharpness",
  "lower",
  "upper",
  "slope",
  "baseLoss",
  "noise",
  "forwardPasses",
  "measurementSeconds",
  "hessianSharpness",
  "preconditionedSharpness",
  "directionalSharpness",
  "sharpnessThreshold",
] as const;

type Row = Record<(typeof columns)[number], CsvCell>;

/**
 * A run as comma-separated values: a line for each step, in full precision. What is not known is empty; ηc and λc that
 * are infinite are written as Infinity, which spreadsheets aside everything reads as a number.
 */
export function csv({
  steps,
  validations,
  curvatures,
}: Pick<RunRecords, "validations" | "curvatures"> & { steps: Iterable<RunStep> }): Iterable<string> {
  const validationLoss = new Map(validations.map(({ step, loss }) => [step, loss]));
  const curvature = new Map(curvatures.map((record) => [record.step, record]));
  return csvText(columns, function* () {
    for (const step of steps) yield row(step, validationLoss.get(step.step), curvature.get(step.step));
  });
}

function row(
  { step, tokens, loss, learningRate, gradientNorm, seconds, measurement }: RunStep,
  validationLoss: CsvCell,
  curvature: CurvatureRecord | undefined,
): Row {
  const status = measurement?.status;
  return {
    step,
    tokens,
    loss,
    learningRate,
    gradientNorm,
    seconds,
    validationLoss,
    status,
    reason: measurement?.reason,
    firstCrossing: measurement?.firstCrossing,
    criticalLearningRate: status === "unbounded" ? Infinity : measurement?.criticalLearningRate,
    criticalSharpness: status === "non-descent" ? Infinity : measurement?.criticalSharpness,
    lower: measurement?.lower,
    upper: measurement?.upper,
    slope: measurement?.slope,
    baseLoss: measurement?.baseLoss,
    noise: measurement?.noise,
    forwardPasses: measurement?.forwardPasses,
    measurementSeconds: measurement?.seconds,
    hessianSharpness: curvature?.hessian.eigenvalue,
    preconditionedSharpness: curvature?.preconditioned?.eigenvalue,
    directionalSharpness: curvature?.directionalSharpness,
    sharpnessThreshold: curvature?.threshold,
  };
}
