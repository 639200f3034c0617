import path from "node:path";
import { hasPreconditioner } from "../../optimizers/index.js";
import {
  type AxisLabels,
  counted,
  csvText,
  type ErrorPoint,
  type Figure,
  heatMapFigure,
  integerText,
  type MapValue,
  placeAxis,
  prose,
  type ReportContent,
  seriesAxis,
  seriesLossFigure,
  seriesSharpnessFigure,
} from "../../report/index.js";
import { runFiles, type StoredRun } from "../../runs/index.js";
import type { Estimate } from "../../sharpness/index.js";
import { describeData, describeOptimizer, describeSequences, provenanceRows } from "../describe.js";
import { type Edge, edgeOf, edgeSentence } from "./edge.js";
import type { StoredSeries } from "./series-configuration.js";
import type { seriesRecords } from "./series-records.js";
import { gather, type SeriesRecords } from "./series-records.js";

/** The figures of a series of checkpoints: those for which it has data. */
export function seriesFigures({ configuration, measured }: SeriesRecords): Figure[] {
  const labels = axisLabels(measured);
  const { xs, axis, border } = seriesAxis(measured, labels);
  const place = { axis, border, one: "checkpoint", many: "checkpoints" };
  const points = (
    estimateOf: (checkpoint: SeriesRecords["measured"][number]) => Estimate | null,
  ): ErrorPoint[] =>
    measured.flatMap((checkpoint, i) => {
      const found = estimateOf(checkpoint);
      return found ? [{ x: xs[i] as number, y: found.mean ?? NaN, error: found.standardError ?? NaN }] : [];
    });
  const critical = points(({ criticalSharpness }) => criticalSharpness).map((point, i) => {
    const { name, criticalSharpness } = measured[i] as SeriesRecords["measured"][number];
    const { nonDescent, count, unresolved = 0 } = criticalSharpness;
    return { ...point, name, nonDescent, unresolved, count };
  });
  return [
    seriesSharpnessFigure({
      critical,
      directional: points(({ directionalSharpness }) => directionalSharpness),
      preconditioned: points(({ preconditioned }) => preconditioned),
      preconditionedName:
        hasPreconditioner(configuration.optimizer) && configuration.direction === null
          ? "λmax(P⁻¹H)"
          : "λmax(H)",
      batches: configuration.measure,
      threshold: measured.flatMap(({ learningRate }, i) =>
        learningRate === null || learningRate === 0 ? [] : [{ x: xs[i] as number, y: 2 / learningRate }],
      ),
      moments: momentsOf(measured),
      verdict: edgeSentence(measured),
      ...place,
    }),
    seriesLossFigure({ loss: points(({ loss }) => loss), ...place }),
    ...configuration.parts.map((by) => heatMap(measured, by, labels)),
  ];
}

/** Whose moments made Δ, in words. */
function momentsOf(measured: SeriesRecords["measured"]): string {
  const [first] = measured;
  if (first?.direction === "given") return "a file";
  return first?.direction === "stored"
    ? "the moments that the run had"
    : "moments that were accumulated here";
}

/** Hugging Face's Trainer counts epochs in the names of checkpoints, or steps. */
function axisLabels(measured: SeriesRecords["measured"]): AxisLabels {
  const isEpoch = ({ name }: { name: string }) =>
    /epoch/i.test(name) && !/step|iter|checkpoint|ckpt/i.test(name);
  const numbered = measured.filter(({ step }) => step !== null);
  return {
    tokens: "tokens seen",
    step: numbered.every(isEpoch) ? "epoch" : "training step",
    name: "checkpoint",
  };
}

/** Over batches; Infinity where Δ descends on none, NaN where that could not be told. */
function meanOf(found: SeriesRecords["measured"][number]["parts"][string] | undefined): MapValue {
  if (!found) return NaN;
  if ((found.unresolved ?? 0) > 0) return { value: found.mean ?? NaN, isPartlyUnresolved: true };
  return found.mean ?? Infinity;
}

const kinds: readonly string[] = ["embeddings", "attention", "mlp", "norms", "head", "other"];
const isKind = (name: string) => kinds.includes(name);
/** Blocks are layers and what lies outside of them, which may be a kind too. */
const isBlock = (name: string) => !["attention", "mlp", "norms"].includes(name);

/** λc of parts of the model over checkpoints. */
function heatMap(measured: SeriesRecords["measured"], by: "blocks" | "kinds", labels: AxisLabels): Figure {
  const rows = [...new Set(measured.flatMap(({ parts }) => Object.keys(parts)))].filter(
    by === "blocks" ? isBlock : isKind,
  );
  return heatMapFigure({
    name: `critical-sharpness-by-${by}`,
    title:
      by === "blocks" ? "Critical sharpness of each layer" : "Critical sharpness of each kind of parameter",
    caption:
      `λc along the part of Δ that belongs to ${by === "blocks" ? "each layer" : "each kind of parameter"}, the other ` +
      "weights where they are: mean over the batches of each checkpoint, coloured by its logarithm.",
    rows,
    columns: measured.map(({ name }) => name),
    values: rows.map((row) => measured.map(({ parts }) => meanOf(parts[row]))),
    axis: placeAxis(measured, labels).axis,
  });
}

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
