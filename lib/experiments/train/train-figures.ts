import { ruleOf } from "../../optimizers/index.js";
import {
  type CsvCell,
  type CurvatureData,
  csvText,
  curvatureFigure,
  type Figure,
  forwardPassesFigure,
  landscapeFigure,
  learningRateFigure,
  lossFigure,
  relativeCurvatureFigure,
  type SharpnessData,
  sharpnessFigure,
} from "../../report/index.js";
import { type StepSeries, stepSeries } from "../measured-steps.js";
import type { CurvatureRecord, RunRecords, RunStep } from "./train-records.js";

const number = (value: number | null | undefined): number => value ?? NaN;

/** The figures of a training run: those for which it has data. */
export function runFigures(run: RunRecords): Figure[] {
  const label = lossLabel(run.configuration);
  const { steps, validations, landscape } = run;
  const series = stepSeries(steps);
  return [
    ...(series.forwardPasses.length > 0 ? [sharpnessFigure(series)] : []),
    ...curvature(run, series),
    lossFigure({
      batches: series.loss,
      heldOut: validations.map(({ step, loss }) => ({ x: step, y: number(loss) })),
      label,
    }),
    learningRateFigure({ learningRate: series.learningRate }),
    ...(landscape
      ? [
          landscapeFigure({
            step: landscape.step,
            points: landscape.points.map(({ learningRate, loss }) => ({ x: learningRate, y: number(loss) })),
            baseLoss: number(landscape.baseLoss),
            critical: landscape.criticalLearningRate || NaN,
            status: statusOf(steps, landscape.step),
            learningRate: landscape.learningRate,
            label,
          }),
        ]
      : []),
    ...(series.forwardPasses.length > 0 ? [forwardPassesFigure(series)] : []),
  ];
}

function statusOf(steps: Iterable<RunStep>, step: number): string | undefined {
  for (const found of steps) if (found.step === step) return found.measurement?.status;
  return undefined;
}

/** λmax, λdir and λc, absolute and over their thresholds; none where no second derivative was measured. */
function curvature(run: RunRecords, series: StepSeries): Figure[] {
  if (run.curvatures.length === 0) return [];
  const data = curvatureData(run, series);
  return [curvatureFigure(data), relativeCurvatureFigure(data)];
}

/** What a run's second derivatives and its λc are, with their thresholds. */
export function curvatureData(
  { curvatures, steps, configuration }: RunRecords,
  { measured, unresolved, nonDescent, threshold }: SharpnessData = stepSeries(steps),
): CurvatureData {
  return {
    ...eigenvalueNames({ curvatures, configuration }),
    largest: curvatures.map(({ step, hessian, preconditioned }) => {
      const { eigenvalue, residual, converged } = preconditioned ?? hessian;
      const [y, r] = [number(eigenvalue), number(residual)];
      return { x: step, y, low: y - r, high: y + r, converged };
    }),
    threshold: curvatures.flatMap(({ step, threshold }) =>
      threshold === null ? [] : { x: step, y: threshold },
    ),
    directional: curvatures.map(({ step, directionalSharpness }) => ({
      x: step,
      y: number(directionalSharpness),
    })),
    ...{ critical: measured, unresolved, nonDescent, stepThreshold: threshold },
  };
}

function eigenvalueNames({ curvatures, configuration }: Pick<RunRecords, "curvatures" | "configuration">) {
  const { optimizer } = configuration;
  const decays = [optimizer, ...(optimizer.groups ?? [])].map(({ weightDecay }) => weightDecay ?? 0);
  const decay = decays.some((own) => own > 0) ? " − γ" : "";
  const gain = ruleOf(optimizer).stabilityGain(optimizer)?.formula ?? null;
  const preconditioned = curvatures.some((record) => record.preconditioned !== null);
  return {
    name: preconditioned ? "λmax(P⁻¹H)" : "λmax(H)",
    thresholdName:
      gain === null ? null : gain === "" ? `2/η${decay}` : `${gain} · ${decay ? `(2/η${decay})` : "2/η"}`,
  };
}

function lossLabel({ model }: RunRecords["configuration"]): string {
  if (!("model_type" in model)) return "loss";
  if (model.model_type !== "mlp") return "cross-entropy (nats per token)";
  return model.loss === "mse" ? "mean squared error" : "cross-entropy (nats)";
}

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
  "error",
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
    error: measurement?.error,
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
