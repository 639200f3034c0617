import path from "node:path";
import {
  counted,
  csvText,
  type Figure,
  forwardPassesFigure,
  integerText,
  learningRateFigure,
  lossFigure,
  prose,
  type ReportContent,
  sharpnessFigure,
} from "../../report/index.js";
import { runFiles, type StoredRun } from "../../runs/index.js";
import { estimateRows, statusRows, stepSeries } from "../measured-steps.js";
import type { ProbesConfiguration } from "./probes-configuration.js";
import {
  aboveThreshold,
  gather,
  type MeasuredProbes,
  type ProbeRecord,
  type probesRecords,
  sharpnessOf,
} from "./probes-records.js";

/** What the report of a training's probes shows. */
export async function probesReport(
  stored: StoredRun<ProbesConfiguration, typeof probesRecords>,
): Promise<ReportContent> {
  const run = await gather(stored);
  const { measured, failed } = run;
  const { above, of } = aboveThreshold(measured);
  return {
    title: "Critical sharpness of a training's probes",
    lead:
      `${integerText(above)} of ${counted(of, "probed step")} above 2/η. ` +
      "The critical learning rate ηc is how far a step could go along the optimizer's next update before the loss of its batch " +
      "rises above where it began; the critical sharpness is λc = 2/ηc, measured at the weights before the update.",
    figures: probesFigures(measured),
    tables: [
      { heading: "Measurement", rows: measurementRows(run) },
      { heading: "How the measurements ended", rows: statusRows(measured) },
      ...(failed.length > 0
        ? [{ heading: "Failed", rows: failed.map(({ name, message }) => [name, message]) }]
        : []),
    ],
    csv: probesCsv(measured),
    links: [
      { file: "metrics.csv", text: "a line for each probe" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  };
}

function probesFigures(measured: readonly ProbeRecord[]): Figure[] {
  const series = stepSeries(measured);
  return [
    sharpnessFigure(series),
    lossFigure({ batches: series.loss, heldOut: [], label: "loss of the probed batches" }),
    learningRateFigure({ learningRate: series.learningRate }),
    forwardPassesFigure(series),
  ];
}

function measurementRows({ configuration, facts, measured }: MeasuredProbes): string[][] {
  const { program, search, dtype } = configuration;
  const seconds = measured.reduce((sum, { measurement }) => sum + measurement.seconds, 0);
  const versions = Object.entries(facts.versions).map((pair) => pair.join(" "));
  return [
    ["Probes", integerText(measured.length)],
    ["Model", program === null ? "a Hugging Face model" : path.basename(program)],
    ["Method", `${search.method}, to within ${prose(search.tolerance * 100)} %`],
    ...estimateRows(measured),
    ["Time", `${prose(seconds / measured.length)} s a probe, ${prose(seconds)} s in all`],
    ["Arithmetic", dtype],
    ...(facts.created ? [["Begun", facts.created.replace("T", " ").replace(/\.\d+Z$/, " UTC")]] : []),
    ["Versions", versions.join(", ")],
  ];
}

const columns = [
  "step",
  "loss",
  "learningRate",
  "gradientNorm",
  "status",
  "reason",
  "criticalLearningRate",
  "criticalSharpness",
  "overThreshold",
  "lower",
  "upper",
  "slope",
  "noise",
  "forwardPasses",
  "seconds",
] as const;

/** A line for each probe. What is not known is empty; ηc and λc that are infinite are written as Infinity. */
function probesCsv(measured: readonly ProbeRecord[]): Iterable<string> {
  const known = (value: number) => (Number.isNaN(value) ? null : value);
  return csvText(columns, () =>
    measured.map((found) => {
      const { step, loss, learningRate, gradientNorm, measurement } = found;
      const { status } = measurement;
      const sharpness = sharpnessOf(found);
      return {
        ...measurement,
        ...{ step, loss, learningRate, gradientNorm },
        criticalLearningRate: status === "unbounded" ? Infinity : measurement.criticalLearningRate,
        criticalSharpness: known(sharpness),
        /** λcη/2 */
        overThreshold: known((sharpness * learningRate) / 2),
      };
    }),
  );
}
