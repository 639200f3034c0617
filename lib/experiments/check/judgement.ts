import { prose } from "../../report/index.js";
import type { MeasurementRecord } from "../../sharpness/index.js";
import { statistics } from "../../statistics.js";
import { inSteps } from "../schedule.js";
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

/** What a check says of a learning rate. */
export interface CheckAnswer {
  verdict: CheckVerdict;
  /** The answer, in a sentence. */
  sentence: string;
  /** What else was seen and what could be done, a sentence each. */
  notes: string[];
  /** η that was asked about. */
  learningRate: number;
  learningRateSource: string;
  /** Of batches at the weights as they are, along Δ of their own gradient. */
  batches: CriticalRange;
  /** Of other batches along the same Δ. */
  heldOut: CriticalRange;
  /** At the end of the trial warm-up; null without one. */
  trial: (CriticalRange & { outcome: TrialOutcome }) | null;
  /** By batches that are one: λc at that batch size. */
  batchSizes: { rows: number; criticalSharpness: number | null; lines: number }[];
  /** The part by which a step of η changes its own batch's loss, and another batch's: the median. */
  changes: { own: number | null; heldOut: number | null };
  /** What it took: gradients and forward passes of one batch, and both in training steps, of which a gradient is one, as are three passes. */
  cost: { gradients: number; forwardPasses: number; trainingSteps: number; seconds: number };
}

/** Batches whose ηc differ by more than this say nothing about a learning rate between them. */
const widest = 2;

/** What the records say. Pure. */
export function judge(records: CheckRecords, configuration: CheckConfiguration): CheckAnswer {
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
    ...(tried ? [placeVerdict(learningRate, tried, Infinity)] : []),
  ];
  const verdict = tried && tried.outcome !== "fell" ? "above" : agreed(places);
  const { gradients = NaN, forwardPasses = NaN, seconds = NaN } = end ?? {};
  const answer = {
    ...{ verdict, learningRate, learningRateSource, batches: own, heldOut, trial: tried },
    batchSizes: batchSizes(records),
    changes: changesOf(batches, learningRate),
    cost: { gradients, forwardPasses, trainingSteps: gradients + forwardPasses / 3, seconds },
  };
  return { ...answer, sentence: sentenceOf(answer), notes: notesOf(answer, records, configuration) };
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
function placeVerdict(learningRate: number, range: CriticalRange, most: number): CheckVerdict {
  const { lower, upper, spread, converged, nonDescent, unbounded, unresolved } = range;
  const lines = converged + nonDescent + unbounded + unresolved;
  if (lower === null || upper === null || spread === null || 2 * converged <= lines) return "undecided";
  const margin = spread > most ? spread : 1;
  return learningRate < lower / margin ? "below" : learningRate > upper * margin ? "above" : "undecided";
}

const agreed = ([first = "undecided", ...rest]: readonly CheckVerdict[]): CheckVerdict =>
  rest.every((place) => place === first) ? first : "undecided";

function batchSizes({ question, batches, joined }: CheckRecords): CheckAnswer["batchSizes"] {
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

function changesOf(batches: readonly CheckBatchRecord[], learningRate: number): CheckAnswer["changes"] {
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

const between = ({ criticalLearningRate, lower, upper }: CriticalRange) =>
  `ηc = ${prose(criticalLearningRate)} (${prose(lower)} to ${prose(upper)})`;

type Facts = Omit<CheckAnswer, "sentence" | "notes">;

function sentenceOf({ verdict, learningRate, batches, trial }: Facts): string {
  const eta = `η = ${prose(learningRate)}`;
  if (trial && trial.outcome !== "fell")
    return `${eta} is unstable: within a trial warm-up to it the loss ${
      trial.outcome === "rose" ? "rose" : "was no longer finite"
    }${batches.criticalLearningRate === null ? "" : `; at these weights ${between(batches)}`}.`;
  const critical = batches.criticalLearningRate;
  if (verdict !== "undecided" && critical !== null) {
    const factor = verdict === "below" ? critical / learningRate : learningRate / critical;
    return `${eta} is ${prose(factor, 2)} times ${verdict} ${between(batches)}: ${
      verdict === "below"
        ? "a step lowers the loss of its own batch"
        : "a step raises the loss of its own batch, which is unstable"
    }.`;
  }
  return `It cannot be told whether ${eta} is below ηc or above: ${whyUndecided(learningRate, batches, trial)}.`;
}

function whyUndecided(learningRate: number, batches: CriticalRange, trial: CheckAnswer["trial"]): string {
  const { spread, converged, nonDescent, unbounded, unresolved } = batches;
  const lines = converged + nonDescent + unbounded + unresolved;
  if (2 * nonDescent >= lines)
    return `Δ descends on ${lines - nonDescent} of ${lines} batches, so that a step of any size raises the loss of the others; take larger batches (--batch-size)`;
  if (2 * unresolved >= lines)
    return `the losses of ${unresolved} of ${lines} batches change by no more than their rounding; take --dtype float32 or larger batches`;
  if (2 * unbounded >= lines)
    return `the loss of ${unbounded} of ${lines} batches rises nowhere along Δ; is Δ that of the training (--optimizer, --weight-decay)?`;
  if (spread !== null && spread > widest)
    return `ηc differs by a factor of ${prose(spread, 2)} between batches, ${between(batches)}; take larger batches (--batch-size), or more of them (--batches)`;
  const here = placeVerdict(learningRate, batches, widest);
  const there = trial ? placeVerdict(learningRate, trial, Infinity) : here;
  if (here !== there && here !== "undecided")
    return `it is ${here} at these weights, ${between(batches)}, and ${
      there === "undecided" ? "now below and now above" : there
    } after the trial warm-up${trial?.criticalLearningRate ? `, ${between(trial)}` : ""}`;
  return `it lies within the interval, ${between(batches)}`;
}

function notesOf(
  { batches, heldOut, trial, batchSizes: sizes, changes, learningRate }: Facts,
  { trial: tried, question }: CheckRecords,
  { schedule, steps }: CheckConfiguration,
): string[] {
  const percent = (value: number) =>
    `${value < 0 ? "falls" : "rises"} by ${prose(Math.abs(100 * value), 2)} %`;
  const notes: string[] = [];
  if (changes.own !== null)
    notes.push(
      `A step of η: the loss of its own batch ${percent(changes.own)}${
        changes.heldOut === null ? "" : `, that of another batch ${percent(changes.heldOut)}`
      } (medians).`,
    );
  if (heldOut.criticalLearningRate !== null) notes.push(`On another batch ${between(heldOut)}.`);
  const { nonDescent, unbounded, unresolved } = batches;
  for (const [count, what] of [
    [nonDescent, "not descended by Δ"],
    [unbounded, "raised nowhere along Δ"],
    [unresolved, "not to be told from rounding"],
  ] as const)
    if (count > 0)
      notes.push(`${count} of ${batches.converged + nonDescent + unbounded + unresolved} batches ${what}.`);
  const [first] = tried;
  if (trial && trial.criticalLearningRate !== null && first)
    notes.push(
      `Trial: ${tried.length - 1} steps of warm-up to η, undone; ηc ${prose(first.measurement.criticalLearningRate)} at its first step, ${prose(
        trial.criticalLearningRate,
      )} in its second half; the loss ${prose(first.loss, 4)} at first, ${prose(tried.at(-1)?.loss, 4)} at last.`,
    );
  const known = sizes.filter(({ criticalSharpness }) => criticalSharpness !== null);
  if (known.length > 1) {
    const list = known
      .map(({ rows, criticalSharpness }) => `${prose(criticalSharpness, 3)} at ${rows}`)
      .join(", ");
    notes.push(
      `λc by batch size: ${list}; ${flattening(known as { rows: number; criticalSharpness: number }[])}.`,
    );
  }
  const warmup = schedule && steps !== null ? inSteps(schedule.warmup, "schedule.warmup", steps) : 0;
  if (warmup > 1 && batches.lower !== null && learningRate > batches.lower)
    notes.push(
      `The warm-up of ${warmup} steps comes to today's ηc at its step ${Math.ceil((warmup * batches.lower) / learningRate)}.`,
    );
  if (question.moments === "accumulated")
    notes.push("The moments are of gradients at frozen weights: the trial's are a training's.");
  return notes;
}

/** From which size on another doubling changes λc by less than a tenth. */
function flattening(sizes: readonly { rows: number; criticalSharpness: number }[]): string {
  const flat = sizes.findIndex((size, i) =>
    sizes.slice(i + 1).every((next) => Math.abs(next.criticalSharpness / size.criticalSharpness - 1) < 0.1),
  );
  const from = sizes[flat];
  return from && flat < sizes.length - 1
    ? `from ${from.rows} on a larger batch changes it by less than 10 %`
    : "a larger batch still changes it";
}
