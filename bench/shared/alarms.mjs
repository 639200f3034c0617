// How well a number that is measured at every step foretells the jumps of the loss.
import { spikesOf } from "./spikes.mjs";
import { median } from "./timing.mjs";

/** Steps before a jump in which an alarm is of use, and after one which count for nothing. */
export const horizon = 10;
const longestLead = 50;

/**
 * Jumps of a run that come after at least `horizon` steps without one: where the loss first stands high, from 0, and at which steps
 * nothing is expected of a measurement, because a jump is going on.
 */
function episodesOf(losses) {
  const starts = [];
  const isOver = losses.map(() => true);
  let last = Number.NEGATIVE_INFINITY;
  for (const spike of spikesOf(losses)) {
    if (spike - last > horizon) starts.push(spike);
    for (let step = spike; step <= spike + horizon && step < losses.length; step++) isOver[step] = false;
    last = spike;
  }
  return { starts, isOver };
}

/**
 * A run, ready to be judged: measurements at quiet steps, and whether a jump follows within 1, … steps.
 *
 * @param losses one a step, before its update
 * @param numbers of one measure, one a step: above 1 where it says that η is too large
 */
export function judged(losses, numbers) {
  const { starts, isOver } = episodesOf(losses);
  const steps = numbers.flatMap((value, step) => {
    const next = starts.find((start) => start > step);
    return isOver[step] && Number.isFinite(value)
      ? [{ value, step, ahead: (next ?? Number.POSITIVE_INFINITY) - step }]
      : [];
  });
  return { starts, numbers, steps };
}

/** The chance that a measurement before a jump is above one of a quiet step: ½ says nothing. */
export function areaUnderCurve(runs, ahead) {
  const all = runs.flatMap(({ steps }) => steps).sort((a, b) => a.value - b.value);
  let [positive, negative, below] = [0, 0, 0];
  for (let first = 0; first < all.length; ) {
    let last = first;
    while (last < all.length && all[last].value === all[first].value) last++;
    const tied = all.slice(first, last);
    const before = tied.filter((one) => one.ahead <= ahead).length;
    below += before * (negative + (tied.length - before) / 2);
    positive += before;
    negative += tied.length - before;
    first = last;
  }
  return positive * negative > 0 ? below / (positive * negative) : Number.NaN;
}

/**
 * What an alarm at every number above a threshold is worth: jumps before which it was on, the median of how many steps it had then
 * been on, and the percentage of steps with no jump within `horizon` at which it was on too.
 */
export function alarms(runs, threshold) {
  const leads = [];
  let [jumps, quiet, wrong] = [0, 0, 0];
  for (const { starts, numbers, steps } of runs) {
    for (const start of starts) {
      jumps++;
      let lead = 0;
      while (lead < Math.min(longestLead, start) && numbers[start - 1 - lead] > threshold) lead++;
      if (lead > 0) leads.push(lead);
    }
    for (const { value, ahead } of steps) {
      if (ahead <= horizon) continue;
      quiet++;
      if (value > threshold) wrong++;
    }
  }
  return {
    jumps,
    foretold: leads.length / jumps,
    lead: leads.length > 0 ? median(leads) : Number.NaN,
    falseAlarms: (100 * wrong) / quiet,
  };
}

/** The threshold that tells steps before a jump from quiet ones best (Youden's): chosen after the fact, for each measure alike. */
export function bestThreshold(runs) {
  const all = runs.flatMap(({ steps }) => steps).sort((a, b) => b.value - a.value);
  const before = all.filter(({ ahead }) => ahead <= horizon).length;
  let [hits, misses, best] = [0, 0, { gain: Number.NEGATIVE_INFINITY, threshold: 1 }];
  for (const [i, { value, ahead }] of all.entries()) {
    if (ahead <= horizon) hits++;
    else misses++;
    const gain = hits / before - misses / (all.length - before);
    if (gain > best.gain && value !== all[i + 1]?.value)
      best = { gain, threshold: (value + (all[i + 1]?.value ?? value)) / 2 };
  }
  return best.threshold;
}
