import path from "node:path";
import { counted, csvText, integerText, prose, type ReportContent } from "../../report/index.js";
import { runFiles, type StoredRun } from "../../runs/index.js";
import { describeData, describeOptimizer, describeSequences, provenanceRows } from "../describe.js";
import { estimateRows } from "../measured-steps.js";
import { type Edge, edgeOf, edgeSentence } from "./edge.js";
import type { StoredSeries } from "./series-configuration.js";
import { seriesFigures } from "./series-figures.js";
import type { seriesRecords } from "./series-records.js";
import { gather, type SeriesRecords } from "./series-records.js";

/** What the report of a series of checkpoints shows. */
export async function seriesReport(
  stored: StoredRun<StoredSeries, typeof seriesRecords>,
): Promise<ReportContent> {
  const series = await gather(stored);
  return {
    title: "Critical sharpness over checkpoints",
    lead:
      "The critical learning rate ηc is how far a step could go along its update before the loss of its batch rises " +
      "above where it began; the critical sharpness is λc = 2/ηc. The weights of each checkpoint stay as they are." +
      verdictOf(series),
    figures: seriesFigures(series),
    tables: [
      { heading: "Measurement", rows: measurementRows(series) },
      { heading: "Checkpoints", columns: checkpointColumns, rows: checkpointRows(series) },
      ...(series.failed.length > 0
        ? [{ heading: "Failed", rows: series.failed.map(({ name, message }) => [name, message]) }]
        : []),
    ],
    csv: seriesCsv(series),
    links: [
      { file: "metrics.csv", text: "a line for each checkpoint and each of its parts" },
      { file: runFiles.metrics, text: "everything that was recorded, every forward pass included" },
      { file: "report.png", text: "all figures in one picture" },
    ],
  };
}

/** The comparison with 2/η as a sentence of its own. */
function verdictOf({ measured }: SeriesRecords): string {
  const told = edgeSentence(measured);
  return told === undefined ? "" : ` Against the run's learning rate η: ${told}.`;
}

function measurementRows(series: SeriesRecords): string[][] {
  const { configuration, measured, count } = series;
  const { data, batch, accumulate, measure, optimizer, direction, weightDecay, search } = configuration;
  const decay = weightDecay || optimizer.weightDecay === 0 ? "" : ", left out of Δ";
  const stored = measured.filter((found) => found.direction === "stored").length;
  const own = [...new Set(measured.flatMap((found) => found.optimizer ?? []))];
  const files = [...new Set(measured.flatMap((found) => found.optimizerState ?? []))];
  const rates = [...new Set(measured.flatMap((found) => found.learningRateSource ?? []))];
  const seconds = measured.reduce((sum, found) => sum + found.seconds, 0);
  return [
    ["Checkpoints", `${integerText(measured.length)} of ${integerText(count)}`],
    ["Parameters", [...new Set(measured.map((found) => integerText(found.parameterCount)))].join(", ")],
    ["Data", describeData(data)],
    ["Batch", describeSequences(batch)],
    direction === null
      ? ["Δ", (own.length > 0 ? own.join("; ") : describeOptimizer(optimizer)) + decay]
      : ["Δ", `of the file ${path.basename(direction)}`],
    ...(direction === null
      ? [
          [
            "Moments",
            stored === measured.length
              ? `that the run had, ${files.join(", ")}`
              : `of ${counted(accumulate, "batch", "batches")}${stored > 0 ? `, stored with ${stored} checkpoints` : ""}`,
          ],
        ]
      : []),
    ...(rates.length > 0 ? [["η", `of the next step, ${rates.join(", ")}`]] : []),
    ["Measured", counted(measure, "batch", "batches")],
    ["Method", `${search.method}, to within ${prose(search.tolerance * 100)} %`],
    ...estimateRows(series.certified),
    ["Time", `${prose(seconds)} s in all, ${prose(seconds / measured.length)} s a checkpoint`],
    ...provenanceRows(series),
  ];
}

const checkpointColumns = [
  "checkpoint",
  "λc, mean ± standard error",
  "median",
  "loss",
  "left out of λc",
  "η",
  "λc·η/2, 95 %",
];

function checkpointRows({ measured }: SeriesRecords): string[][] {
  return measured.map((found) => {
    const { name, criticalSharpness, loss, learningRate, sameWeights } = found;
    const { mean, standardError, median, nonDescent, count, unbounded, unresolved = 0 } = criticalSharpness;
    const all = count + nonDescent + unresolved;
    const none = unresolved > 0 ? NaN : Infinity;
    const left = [
      ...(nonDescent > 0 ? [`${nonDescent} of ${all} non-descent`] : []),
      ...(unresolved > 0 ? [`${unresolved} of ${all} unresolved`] : []),
      ...(unbounded > 0 ? [`${unbounded} unbounded`] : []),
    ];
    return [
      sameWeights.length > 0 ? `${name} (the same weights as ${sameWeights.join(", ")})` : name,
      count === 0 ? lambda(none) : `${prose(mean)} ± ${prose(standardError)}`,
      lambda(median ?? none),
      prose(loss.mean, 4),
      left.join(", ") || "–",
      learningRate === null ? "–" : prose(learningRate),
      edgeText(edgeOf(found)),
    ];
  });
}

/** λc·η/2 with half of its interval, and on which side of 1 it is. */
export function edgeText(edge: Edge | null): string {
  if (!edge) return "–";
  const { ratio, uncertainty, side } = edge;
  if (ratio === Infinity) return "∞, above";
  if (!Number.isFinite(ratio)) return side;
  return `${prose(ratio)}${Number.isFinite(uncertainty) ? ` ± ${prose(uncertainty)}` : ""}, ${side}`;
}

/** Of a checkpoint that has no λc: ∞, or NaN where that could not be told. */
const lambda = (value: number) => (Number.isNaN(value) ? "unresolved" : prose(value));

const columns = [
  "checkpoint",
  "step",
  "tokens",
  "part",
  "criticalSharpness",
  "standardError",
  "median",
  "batches",
  "nonDescent",
  "unbounded",
  "unresolved",
  "learningRate",
  "overThreshold",
  "loss",
  "lossStandardError",
  "directionalSharpness",
  "directionalStandardError",
  "preconditionedSharpness",
  "preconditionedStandardError",
  "forwardPasses",
  "seconds",
] as const;

/**
 * A series as comma-separated values: a line for each checkpoint, its `part` "all", and one for each of its parts. What is
 * not known or not resolved is empty; a λc that is infinite throughout is written as Infinity.
 */
export function seriesCsv({ measured }: Pick<SeriesRecords, "measured">): Iterable<string> {
  const rowsOf = (found: SeriesRecords["measured"][number]) => {
    const parts = [["all", found.criticalSharpness] as const, ...Object.entries(found.parts)];
    return parts.map(
      ([part, { mean, standardError, median, count, nonDescent, unbounded, unresolved = 0 }]) => {
        const none = unresolved > 0 ? null : Infinity;
        const whole = part === "all" ? found : undefined;
        return {
          checkpoint: found.name,
          step: found.step,
          tokens: found.tokens,
          part,
          criticalSharpness: count === 0 ? none : mean,
          standardError,
          median: median ?? none,
          batches: count + nonDescent + unresolved,
          nonDescent,
          unbounded,
          unresolved,
          learningRate: whole?.learningRate,
          overThreshold: whole && edgeOf(whole)?.ratio,
          loss: whole?.loss.mean,
          lossStandardError: whole?.loss.standardError,
          directionalSharpness: whole?.directionalSharpness?.mean,
          directionalStandardError: whole?.directionalSharpness?.standardError,
          preconditionedSharpness: whole?.preconditioned?.mean,
          preconditionedStandardError: whole?.preconditioned?.standardError,
          forwardPasses: whole?.forwardPasses,
          seconds: whole?.seconds,
        };
      },
    );
  };
  return csvText(columns, () => measured.flatMap(rowsOf));
}
