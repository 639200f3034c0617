import type { MeasurementRecord } from "../../sharpness/index.js";
import { statistics } from "../../statistics.js";
import type { CheckConfiguration } from "./check-configuration.js";
import type { CheckBatchRecord, CheckRecords } from "./check-records.js";

export type CheckVerdict = "below" | "above" | "undecided";

/** ηc over the lines of one place. */
export interface CriticalRange {
  /** Geometric mean over the lines that cross; null of none. */
  criticalLearningRate: number | null;
  /** Between which every one of them is: the lowest and the highest end of their brackets, or of their errors. */
  lower: number | null;
  upper: number | null;
  /** The highest ηc over the lowest. */
  spread: number | null;
  /** Lines by how they ended. */
  converged: number;
  nonDescent: number;
  unbounded: number;
  unresolved: number;
}

/** How a trial went: whether its losses stayed where they were or fell, rose by more than batches differ by, or were not finite. */
export type TrialOutcome = "fell" | "rose" | "diverged";

/** What a check found of a learning rate. */
export interface CheckJudgement {
  verdict: CheckVerdict;
  /** η that was asked about. */
  learningRate: number;
  learningRateSource: string;
  /** Of batches at the weights as they are, along Δ of their own gradient. */
  batches: CriticalRange;
  /** Of other batches along the same Δ. */
  heldOut: CriticalRange;
  /** At the end of the trial warm-up; null without one. */
  trial: (CriticalRange & { outcome: TrialOutcome }) | null;
  /** The smallest of those ηc, over η; null where none was found. */
  margin: number | null;
  /** By batches that are one: λc at that batch size. */
  batchSizes: { rows: number; criticalSharpness: number | null; lines: number }[];
  /** The part by which a step of η changes its own batch's loss, and another batch's: the median. */
  changes: { own: number | null; heldOut: number | null };
  /** What it took: gradients and forward passes of one batch, and both in training steps, of which a gradient is one, as are three passes. */
  cost: { gradients: number; forwardPasses: number; trainingSteps: number; seconds: number };
}

/** Batches whose ηc differ by more than this say nothing about a learning rate between them. */
export const widest = 2;

/** What the records say. Pure. */
export function judge(records: CheckRecords, configuration: CheckConfiguration): CheckJudgement {
  const { question, batches, trial, diverged, end } = records;
  const { learningRate, learningRateSource } = question;
  const own = rangeOf(batches.map(({ measurement }) => measurement));
  const heldOut = rangeOf(batches.flatMap((batch) => (batch.heldOut ? [batch.heldOut] : [])));
  const last = trial.filter(({ step }) => 2 * step > configuration.trial);
  const tried =
    configuration.trial === 0
      ? null
      : {
          ...rangeOf(last.map(({ measurement }) => measurement)),
          outcome: diverged ? ("diverged" as const) : outcomeOf(records),
        };
  const places = [
    placeVerdict(learningRate, own, widest),
    ...(linesOf(heldOut) > 0 ? [placeVerdict(learningRate, heldOut, Infinity)] : []),
    ...(tried ? [placeVerdict(learningRate, tried, Infinity)] : []),
  ];
  const verdict = tried && tried.outcome !== "fell" ? "above" : agreed(places);
  const { gradients = NaN, forwardPasses = NaN, seconds = NaN } = end ?? {};
  return {
    ...{ verdict, learningRate, learningRateSource, batches: own, heldOut, trial: tried },
    margin: marginOf([own, heldOut, ...(tried ? [tried] : [])], learningRate),
    batchSizes: batchSizes(records),
    changes: changesOf(batches, learningRate),
    cost: { gradients, forwardPasses, trainingSteps: gradients + forwardPasses / 3, seconds },
  };
}

/** A rise counts where it is more than this part of the loss, and than so many standard deviations of what batches differ by. */
const rise = { part: 0.1, deviations: 5 };

/** Whether the losses at a trial's end are above those that the batches had before it. */
function outcomeOf({ batches, trial }: CheckRecords): TrialOutcome {
  const before = [...batches, ...trial.slice(0, 1)].map(({ loss }) => loss);
  const { mean, standardError } = statistics(before);
  const deviation = standardError * Math.sqrt(before.length);
  const after = trial.slice(-2).map(({ loss }) => loss);
  const least = Math.max(rise.part * Math.abs(mean), rise.deviations * (deviation || 0));
  return Math.min(...after) > mean + least ? "rose" : "fell";
}

function marginOf(ranges: readonly CriticalRange[], learningRate: number): number | null {
  const found = ranges.flatMap(({ criticalLearningRate: rate }) => (rate === null ? [] : [rate]));
  return found.length === 0 ? null : Math.min(...found) / learningRate;
}

/** ηc of several lines. */
export function rangeOf(lines: readonly MeasurementRecord[]): CriticalRange {
  const count = (status: MeasurementRecord["status"]) =>
    lines.filter((line) => line.status === status).length;
  const found = lines.filter(({ status }) => status === "converged");
  const values = found.map(({ criticalLearningRate }) => criticalLearningRate as number);
  const ends = found.map(endsOf);
  const counts = {
    converged: found.length,
    nonDescent: count("non-descent"),
    unbounded: count("unbounded"),
    unresolved: count("unresolved"),
  };
  if (values.length === 0)
    return { criticalLearningRate: null, lower: null, upper: null, spread: null, ...counts };
  const mean = values.reduce((sum, value) => sum + Math.log(value), 0) / values.length;
  return {
    criticalLearningRate: Math.exp(mean),
    lower: Math.min(...ends.map(([low]) => low)),
    upper: Math.max(...ends.map(([, high]) => high)),
    spread: Math.max(...values) / Math.min(...values),
    ...counts,
  };
}

export const linesOf = ({ converged, nonDescent, unbounded, unresolved }: CriticalRange) =>
  converged + nonDescent + unbounded + unresolved;

/** Between which ηc of a line is. */
function endsOf({ criticalLearningRate, lower, upper, error }: MeasurementRecord): [number, number] {
  const middle = criticalLearningRate as number;
  if (error !== null) return [middle / (1 + error), middle * (1 + error)];
  return [lower || middle, upper ?? middle];
}

/**
 * What the lines of one place say of η: nothing where most of them do not cross, or where they disagree and η is no further away than
 * they are from each other.
 *
 * @param most what ηc may differ by: along a trial it moves, and any
 */
export function placeVerdict(learningRate: number, range: CriticalRange, most: number): CheckVerdict {
  const { lower, upper, spread, converged } = range;
  if (lower === null || upper === null || spread === null || 2 * converged <= linesOf(range))
    return "undecided";
  const margin = spread > most ? spread : 1;
  return learningRate < lower / margin ? "below" : learningRate > upper * margin ? "above" : "undecided";
}

const agreed = ([first = "undecided", ...rest]: readonly CheckVerdict[]): CheckVerdict =>
  rest.every((place) => place === first) ? first : "undecided";

function batchSizes({ question, batches, joined }: CheckRecords): CheckJudgement["batchSizes"] {
  const sizes = new Map<number, CheckBatchRecord[]>();
  for (const batch of [...batches, ...joined])
    sizes.set(batch.together, [...(sizes.get(batch.together) ?? []), batch]);
  return [...sizes]
    .sort(([a], [b]) => a - b)
    .map(([together, all]) => {
      const { criticalLearningRate, converged } = rangeOf(all.map(({ measurement }) => measurement));
      const criticalSharpness = criticalLearningRate && 2 / criticalLearningRate;
      return { rows: together * question.rows, criticalSharpness, lines: converged };
    });
}

function changesOf(batches: readonly CheckBatchRecord[], learningRate: number): CheckJudgement["changes"] {
  const middle = (values: readonly (number | undefined)[]) => {
    const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
    return known[known.length >> 1] ?? null;
  };
  const own = batches.map(({ loss, points }) => {
    const after = points.find((point) => point.learningRate === learningRate)?.loss;
    return after === undefined || after === null ? undefined : after / loss - 1;
  });
  const heldOut = batches.map(({ heldOut: line, heldOutLoss }) =>
    line?.baseLoss && heldOutLoss !== null ? heldOutLoss / line.baseLoss - 1 : undefined,
  );
  return { own: middle(own), heldOut: middle(heldOut) };
}
