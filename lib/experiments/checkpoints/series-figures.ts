import { hasPreconditioner } from "../../optimizers/index.js";
import {
  type AxisLabels,
  type ErrorPoint,
  type Figure,
  heatMapFigure,
  type MapValue,
  placeAxis,
  seriesAxis,
  seriesLossFigure,
  seriesSharpnessFigure,
} from "../../report/index.js";
import type { Estimate } from "../../sharpness/index.js";
import { edgeSentence } from "./edge.js";
import type { SeriesRecords } from "./series-records.js";

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
