import { ruleOf } from "../../optimizers/index.js";
import type { CurvatureData, Figure } from "../../report/index.js";
import {
  curvatureFigure,
  forwardPassesFigure,
  landscapeFigure,
  learningRateFigure,
  lossFigure,
  type Point,
  relativeCurvatureFigure,
  sharpnessFigure,
} from "../../report/index.js";
import type { SearchStatus } from "../../search/index.js";
import type { RunRecords, RunStep } from "./stored.js";

const number = (value: number | null | undefined): number => value ?? NaN;

/** The figures of a training run: those for which it has data. */
export function runFigures(run: RunRecords): Figure[] {
  const label = lossLabel(run.configuration);
  const { steps, validations } = run;
  const landscape = run.landscapes.at(-1);
  const measurements = steps.flatMap(({ step, measurement }) => (measurement ? [{ step, measurement }] : []));
  const loss = lossFigure({
    batches: steps.map(({ step, loss }) => ({ x: step, y: number(loss) })),
    heldOut: validations.map(({ step, loss }) => ({ x: step, y: number(loss) })),
    label,
  });
  const learningRate = learningRateFigure({
    learningRate: steps.map(({ step, learningRate }) => ({ x: step, y: learningRate })),
  });
  return [
    ...(measurements.length ? [sharpness(steps)] : []),
    ...curvature(run),
    loss,
    learningRate,
    ...(landscape
      ? [
          landscapeFigure({
            step: landscape.step,
            points: landscape.points.map(({ learningRate, loss }) => ({ x: learningRate, y: number(loss) })),
            baseLoss: number(landscape.baseLoss),
            critical: landscape.criticalLearningRate || NaN,
            status: measurements.find(({ step }) => step === landscape.step)?.measurement.status,
            learningRate: landscape.learningRate,
            label,
          }),
        ]
      : []),
    ...(measurements.length
      ? [
          forwardPassesFigure({
            forwardPasses: measurements.map(({ measurement }) => measurement.forwardPasses),
          }),
        ]
      : []),
  ];
}

function sharpness(steps: readonly RunStep[]): Figure {
  return sharpnessFigure({
    measured: steps.flatMap(({ step, measurement }) =>
      measurement?.status === "converged"
        ? [
            {
              x: step,
              y: number(measurement.criticalSharpness),
              low: 2 / number(measurement.upper),
              // A lower end that is 0 was not looked for: the bar ends at the answer.
              high: 2 / (measurement.lower || number(measurement.criticalLearningRate)),
            },
          ]
        : [],
    ),
    threshold: thresholds(steps),
    nonDescent: withStatus(steps, "non-descent"),
    unbounded: withStatus(steps, "unbounded"),
    unresolved: withStatus(steps, "unresolved"),
  });
}

/** λmax, λdir and λc, absolute and over their thresholds; none where no second derivative was measured. */
function curvature(run: RunRecords): Figure[] {
  if (run.curvatures.length === 0) return [];
  const data = curvatureData(run);
  return [curvatureFigure(data), relativeCurvatureFigure(data)];
}

/** What a run's second derivatives and its λc are, with their thresholds. */
export function curvatureData({ curvatures, steps, configuration }: RunRecords): CurvatureData {
  return {
    ...eigenvalueNames({ curvatures, configuration }),
    largest: curvatures.map(({ step, hessian, preconditioned }) => {
      const { eigenvalue, residual, converged } = preconditioned ?? hessian;
      const [y, r] = [number(eigenvalue), number(residual)];
      return { x: step, y, low: y - r, high: y + r, converged };
    }),
    threshold: curvatures.map(({ step, threshold }) => ({ x: step, y: threshold })),
    directional: curvatures.map(({ step, directionalSharpness }) => ({
      x: step,
      y: number(directionalSharpness),
    })),
    critical: steps.flatMap(({ step, measurement }) =>
      measurement?.status === "converged" ? [{ x: step, y: number(measurement.criticalSharpness) }] : [],
    ),
    unresolved: withStatus(steps, "unresolved"),
    nonDescent: withStatus(steps, "non-descent"),
    stepThreshold: thresholds(steps),
  };
}

const withStatus = (steps: readonly RunStep[], status: SearchStatus) =>
  steps.filter(({ measurement }) => measurement?.status === status).map(({ step }) => step);

function eigenvalueNames({ curvatures, configuration }: Pick<RunRecords, "curvatures" | "configuration">) {
  const { optimizer } = configuration;
  const decays = [optimizer, ...(optimizer.groups ?? [])].map(({ weightDecay }) => weightDecay ?? 0);
  const decay = decays.some((own) => own > 0) ? " − γ" : "";
  const gain = ruleOf(optimizer).stabilityGain(optimizer).formula;
  const preconditioned = curvatures.some((record) => record.preconditioned !== null);
  return {
    name: preconditioned ? "λmax(P⁻¹H)" : "λmax(H)",
    thresholdName: gain === "" ? `2/η${decay}` : `${gain} · ${decay ? `(2/η${decay})` : "2/η"}`,
  };
}

function thresholds(steps: readonly RunStep[]): Point[] {
  return steps
    .filter(({ learningRate }) => learningRate > 0)
    .map(({ step, learningRate }) => ({ x: step, y: 2 / learningRate }));
}

function lossLabel({ model }: RunRecords["configuration"]): string {
  if (!("model_type" in model)) return "loss";
  if (model.model_type !== "mlp") return "cross-entropy (nats per token)";
  return model.loss === "mse" ? "mean squared error" : "cross-entropy (nats)";
}
