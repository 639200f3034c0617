import type { RunRecords, RunStep } from "./run-records.js";

type Cell = string | number | null | undefined;

const columns = [
  "step",
  "tokens",
  "loss",
  "learningRate",
  "gradientNorm",
  "seconds",
  "validationLoss",
  "status",
  "firstCrossing",
  "criticalLearningRate",
  "criticalSharpness",
  "lower",
  "upper",
  "slope",
  "baseLoss",
  "forwardPasses",
  "measurementSeconds",
] as const;

type Row = Record<(typeof columns)[number], Cell>;

/**
 * A run as comma-separated values: a line for each step, in full precision. What is not known is empty; ηc and λc that
 * are infinite are written as Infinity, which spreadsheets aside everything reads as a number.
 */
export function csv({ steps, validations }: Pick<RunRecords, "steps" | "validations">): string {
  const validationLoss = new Map(validations.map(({ step, loss }) => [step, loss]));
  const lines = steps.map((step) => row(step, validationLoss.get(step.step)));
  return [columns.join(","), ...lines.map((cells) => columns.map((name) => text(cells[name])).join(","))]
    .map((line) => `${line}\n`)
    .join("");
}

function row({ type: _, measurement, ...step }: RunStep, validationLoss: Cell): Row {
  return { ...step, validationLoss, ...measured(measurement) };
}

function measured(measurement: RunStep["measurement"]) {
  const unbounded = measurement?.status === "unbounded";
  const nonDescent = measurement?.status === "non-descent";
  return {
    status: measurement?.status,
    firstCrossing: measurement?.firstCrossing,
    criticalLearningRate: unbounded ? Infinity : measurement?.criticalLearningRate,
    criticalSharpness: nonDescent ? Infinity : measurement?.criticalSharpness,
    lower: measurement?.lower,
    upper: measurement?.upper,
    slope: measurement?.slope,
    baseLoss: measurement?.baseLoss,
    forwardPasses: measurement?.forwardPasses,
    measurementSeconds: measurement?.seconds,
  };
}

/** Numbers and words of ours: nothing needs quotes. */
function text(cell: Cell): string {
  return cell === null || cell === undefined ? "" : String(cell);
}
