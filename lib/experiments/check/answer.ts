import { prose } from "../../report/index.js";
import { inSteps } from "../schedule.js";
import type { CheckConfiguration } from "./check-configuration.js";
import type { CheckRecords } from "./check-records.js";
import {
  type CheckJudgement,
  type CriticalRange,
  judge,
  linesOf,
  placeVerdict,
  widest,
} from "./judgement.js";

/** What a check says of a learning rate. */
export interface CheckAnswer extends CheckJudgement {
  /** The answer, in a sentence. */
  sentence: string;
  /** What else was seen and what could be done, a sentence each. */
  notes: string[];
}

/** What the records say. Pure. */
export function answerOf(records: CheckRecords, configuration: CheckConfiguration): CheckAnswer {
  const judgement = judge(records, configuration);
  return {
    ...judgement,
    sentence: sentenceOf(judgement),
    notes: notesOf(judgement, records, configuration),
  };
}

/**
 * What became of trainings in the sweeps of bench/check.mjs (bench/results/check.md), where no trial's loss rose, by how far the smallest ηc
 * lay above their η: from how many times on, how many there were, lost half of what was to be gained, and diverged.
 */
export const odds = [
  { from: 16, trainings: 151, failed: 0, diverged: 0 },
  { from: 8, trainings: 63, failed: 1, diverged: 0 },
  { from: 4, trainings: 59, failed: 6, diverged: 1 },
  { from: 2, trainings: 68, failed: 10, diverged: 5 },
  { from: 1, trainings: 98, failed: 32, diverged: 16 },
] as const;

/** In how many of those sweeps with a divergence it lay within so many times ηc of another batch. */
export const reach = { times: 4, held: 48, of: 56 } as const;

const between = ({ criticalLearningRate, lower, upper }: CriticalRange) =>
  `ηc = ${prose(criticalLearningRate)} (${prose(lower)} to ${prose(upper)})`;

function sentenceOf(answer: CheckJudgement): string {
  const { verdict, learningRate, batches, trial } = answer;
  const eta = `η = ${prose(learningRate)}`;
  if (trial && trial.outcome !== "fell")
    return `${eta} is too large for a warm-up that short: within the trial the loss ${
      trial.outcome === "rose" ? "rose" : "was no longer finite"
    }${batches.criticalLearningRate === null ? "" : `; at these weights ${between(batches)}`}.`;
  const critical = batches.criticalLearningRate;
  if (verdict !== "undecided" && critical !== null) {
    const factor = verdict === "below" ? critical / learningRate : learningRate / critical;
    return `${eta} is ${prose(factor, 2)} times ${verdict} ${between(batches)}: ${
      verdict === "below"
        ? "a step lowers the loss of its own batch, and of another"
        : "a step raises the loss of its own batch"
    }.`;
  }
  return `It cannot be told whether ${eta} is below ηc or above: ${whyUndecided(answer)}.`;
}

function whyUndecided({ learningRate, batches, heldOut, trial }: CheckJudgement): string {
  const { spread, nonDescent, unbounded, unresolved } = batches;
  const lines = linesOf(batches);
  if (2 * nonDescent >= lines)
    return `Δ descends on ${lines - nonDescent} of ${lines} batches, so that a step of any size raises the loss of the others; take larger batches (--batch-size)`;
  if (2 * unresolved >= lines)
    return `the losses of ${unresolved} of ${lines} batches change by no more than their rounding; take --dtype float32 or larger batches`;
  if (2 * unbounded >= lines)
    return `the loss of ${unbounded} of ${lines} batches rises nowhere along Δ; is Δ that of the training (--optimizer, --weight-decay)?`;
  const here = placeVerdict(learningRate, batches, widest);
  if (here === "undecided")
    return spread !== null && spread > widest
      ? `ηc differs by a factor of ${prose(spread, 2)} between batches, ${between(batches)}; take larger batches (--batch-size), or more of them (--batches)`
      : `it lies within ${between(batches)}`;
  const held = linesOf(heldOut) > 0 ? placeVerdict(learningRate, heldOut, Infinity) : here;
  if (held !== here)
    return heldOut.criticalLearningRate === null
      ? `${between(batches)} of the batch that Δ is made of, and on another batch Δ does not descend; take larger batches (--batch-size)`
      : `${between(batches)} of the batch that Δ is made of, and ${between(heldOut)} of another: part of a step fits its batch alone`;
  const after = trial?.criticalLearningRate ? between(trial) : "no ηc was found";
  return `${between(batches)} at these weights, and ${after} in the second half of the trial warm-up`;
}

function notesOf(
  { batches, heldOut, trial, batchSizes: sizes, changes, learningRate, margin }: CheckJudgement,
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
  notes.push(...outlook(heldOut.criticalLearningRate, trial?.outcome === "fell" ? margin : null));
  const { nonDescent, unbounded, unresolved } = batches;
  const lines = linesOf(batches);
  for (const [count, what] of [
    [nonDescent, "not descended by Δ"],
    [unbounded, "raised nowhere along Δ"],
    [unresolved, "not to be told from rounding"],
  ] as const)
    if (count > 0) notes.push(`${count} of ${lines} batches ${what}.`);
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

/** What the sweeps say of later steps. */
function outlook(heldOut: number | null, margin: number | null): string[] {
  const known = margin === null ? undefined : odds.find(({ from }) => margin >= from);
  return [
    ...(known
      ? [
          `The smallest ηc is ${prose(margin, 2)} times η: of ${known.trainings} trainings as far below in docs/check.md, ${known.failed} lost half of what was to be gained, and ${known.diverged} diverged.`,
        ]
      : []),
    ...(heldOut === null
      ? []
      : [
          `Of ${reach.of} sweeps there that diverged, ${reach.held} did within ${reach.times} times ηc of another batch: here from ${prose(heldOut / reach.times)} to ${prose(reach.times * heldOut)}.`,
        ]),
  ];
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
