import type { SearchStatus } from "../search/types.js";
import type { Figure } from "./figure.js";
import { forwardPassesFigure } from "./figures/forward-passes.js";
import { landscapeFigure } from "./figures/landscape.js";
import { learningRateFigure } from "./figures/learning-rate.js";
import { lossFigure } from "./figures/loss.js";
import { sharpnessFigure } from "./figures/sharpness.js";
import type { RunRecords, RunStep } from "./run-records.js";

const number = (value: number | null | undefined): number => value ?? NaN;

/** The figures of a training run: those for which it has data. */
export function runFigures(run: RunRecords): Figure[] {
  const label = lossLabel(run.configuration);
  const { steps, validations } = run;
  const landscape = run.landscapes.at(-1);
  const measurements = steps.flatMap(({ step, measurement }) => (measurement ? [{ step, measurement }] : []));
  const loss = lossFigure({
    training: steps.map(({ step, loss }) => ({ x: step, y: number(loss) })),
    validation: validations.map(({ step, loss }) => ({ x: step, y: number(loss) })),
    label,
  });
  const learningRate = learningRateFigure({
    learningRate: steps.map(({ step, learningRate }) => ({ x: step, y: learningRate })),
  });
  return [
    ...(measurements.length ? [sharpness(run, measurements)] : []),
    loss,
    learningRate,
    ...(landscape
      ? [
          landscapeFigure({
            step: landscape.step,
            points: landscape.points.map(({ learningRate, loss }) => ({ x: learningRate, y: number(loss) })),
            baseLoss: number(landscape.baseLoss),
            critical: landscape.criticalLearningRate || NaN,
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

function sharpness(
  { steps }: RunRecords,
  measurements: readonly { step: number; measurement: NonNullable<RunStep["measurement"]> }[],
): Figure {
  const withStatus = (status: SearchStatus) =>
    measurements.filter(({ measurement }) => measurement.status === status);
  return sharpnessFigure({
    measured: withStatus("converged").map(({ step, measurement }) => ({
      x: step,
      y: number(measurement.criticalSharpness),
      low: 2 / number(measurement.upper),
      high: 2 / number(measurement.lower),
    })),
    threshold: steps
      .filter(({ learningRate }) => learningRate > 0)
      .map(({ step, learningRate }) => ({ x: step, y: 2 / learningRate })),
    nonDescent: withStatus("non-descent").map(({ step }) => step),
    unbounded: withStatus("unbounded").map(({ step }) => step),
  });
}

function lossLabel({ model }: RunRecords["configuration"]): string {
  if (!("model_type" in model)) return "loss";
  if (model.model_type === "gpt2") return "cross-entropy (nats per token)";
  return model.loss === "mse" ? "mean squared error" : "cross-entropy (nats)";
}
