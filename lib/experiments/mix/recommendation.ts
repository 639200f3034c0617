import type { MixComparison } from "./comparison.js";
import { fewestRepeats } from "./mix-estimate.js";

/** λc of each task, by ratio and task; NaN where it is unknown. */
export interface SharpnessTable {
  /** Ascending. */
  ratios: readonly number[];
  tasks: readonly string[];
  table: readonly (readonly number[])[];
}

/** Where the largest of the tasks' curves changes. */
export interface MixCrossing {
  ratio: number;
  /** Whose λc is the largest below that ratio, and above it. */
  tasks: [below: string, above: string];
}

/** The ratio at which the largest λc over the tasks is smallest, so that the largest learning rate vetoed by none is largest. */
export interface SweetSpot {
  /** Place in the ratios. */
  place: number;
  ratio: number;
  /** The task whose λc is the largest there. */
  task: string;
  criticalSharpness: number;
  crossing: MixCrossing | null;
}

export interface MixRecommendation {
  /** The best in the mean of the repeats; null where at each ratio some task's loss rises at once. */
  ratio: number | null;
  /**
   * The answer: the ratios whose worst λc is not significantly above another's, ascending. The best ratio is among them with 95 %
   * confidence. All of them where the repeats are too few to tell.
   */
  ratios: number[];
  /** Whether `ratios` are not all: it happens in at most 5 % of sweeps of ratios that are all as good. */
  decided: boolean;
  /** Whether some ratio's update lowers the loss of every task; null where the data leave it open. */
  descends: boolean | null;
  /** The task that allows least at `ratio`, its λc and ηc: the largest learning rate in the basin that all tasks share. */
  task: string | null;
  criticalSharpness: number | null;
  criticalLearningRate: number | null;
  crossing: MixCrossing | null;
  /** For each ratio how probable it is, were all as good, that one looks so much worse than another; null where that is not known. */
  pValues: { ratio: number; pValue: number | null }[];
  repeats: number;
  /** Measurements that were made, and those that could not be told from noise. */
  measurements: number;
  unresolved: number;
  /** All of it in plain words. */
  sentence: string;
}

/** Undefined where at each ratio some task's λc is infinite, or unknown. */
export function sweetSpot({ ratios, tasks, table }: SharpnessTable): SweetSpot | undefined {
  const largest = table.map((row) => {
    const unknown = row.findIndex(Number.isNaN);
    return unknown >= 0
      ? unknown
      : row.reduce((most, value, t) => (value > (row[most] as number) ? t : most), 0);
  });
  let place = -1;
  let least = Infinity;
  for (const [r, t] of largest.entries()) {
    const value = table[r]?.[t] as number;
    if (value < least) [place, least] = [r, value];
  }
  if (place < 0) return undefined;
  return {
    place,
    ratio: ratios[place] as number,
    task: tasks[largest[place] as number] as string,
    criticalSharpness: least,
    crossing: crossing({ ratios, tasks, table }, largest, place),
  };
}

/** The change of the largest curve on either side of a place, where ηc, taken as linear between ratios, is the same. */
function crossing(
  { ratios, tasks, table }: SharpnessTable,
  largest: readonly number[],
  place: number,
): MixCrossing | null {
  const found = [place - 1, place].flatMap((left): MixCrossing[] => {
    const [below, above] = [largest[left], largest[left + 1]];
    if (below === undefined || above === undefined || below === above) return [];
    const difference = (r: number) => 2 / (table[r]?.[above] as number) - 2 / (table[r]?.[below] as number);
    const [a, b] = [difference(left), difference(left + 1)];
    if (!Number.isFinite(a - b) || a === b) return [];
    const [from, to] = [ratios[left] as number, ratios[left + 1] as number];
    const ratio = from + (to - from) * (a / (a - b));
    return [{ ratio, tasks: [tasks[below] as string, tasks[above] as string] }];
  });
  const distance = ({ ratio }: MixCrossing) => Math.abs(ratio - (ratios[place] as number));
  return found.sort((a, b) => distance(a) - distance(b))[0] ?? null;
}

/** @param counts what was measured */
export function recommend(
  table: SharpnessTable,
  { pValues, candidates, descends }: MixComparison,
  counts: Pick<MixRecommendation, "repeats" | "measurements" | "unresolved">,
): MixRecommendation {
  const { ratios } = table;
  const best = sweetSpot(table);
  const recommendation = {
    ratio: best?.ratio ?? null,
    ratios: candidates.map((place) => ratios[place] as number),
    decided: best !== undefined && candidates.length < ratios.length,
    descends,
    task: best?.task ?? null,
    criticalSharpness: best?.criticalSharpness ?? null,
    criticalLearningRate: best ? 2 / best.criticalSharpness : null,
    crossing: best?.crossing ?? null,
    pValues: ratios.map((ratio, r) => ({ ratio, pValue: pValues[r] ?? null })),
    ...counts,
  };
  return { ...recommendation, sentence: sentence(table, best, recommendation) };
}

const short = (value: number) => Number(value.toPrecision(3)).toString();

/** Ratios in words; neighbours among those measured as a range. */
export function ratiosText(chosen: readonly number[], all: readonly number[]): string {
  const runs: number[][] = [];
  for (const ratio of chosen) {
    const last = runs.at(-1);
    if (last && all.indexOf(ratio) === all.indexOf(last.at(-1) as number) + 1) last.push(ratio);
    else runs.push([ratio]);
  }
  const parts = runs.map((run) =>
    run.length > 2
      ? `${short(run[0] as number)} to ${short(run.at(-1) as number)}`
      : run.map(short).join(", "),
  );
  return parts.join(", ");
}

function sentence(
  table: SharpnessTable,
  best: SweetSpot | undefined,
  recommendation: Omit<MixRecommendation, "sentence">,
): string {
  const { measurements, unresolved } = recommendation;
  const counted =
    unresolved > 0
      ? ` ${unresolved} of ${measurements} measurements ${unresolved === 1 ? "is" : "are"} below the rounding of the losses or ran into a limit: unresolved, and left open.`
      : "";
  return `${best ? found(table, best, recommendation) : nothing(table, recommendation)}${counted}`;
}

const few = (repeats: number) =>
  `${repeats === 1 ? "One repeat says" : `${repeats} repeats say`} nothing with confidence: measure at least ${fewestRepeats}, better eight.`;

function nothing(
  { tasks, table }: SharpnessTable,
  { repeats, descends }: Omit<MixRecommendation, "sentence">,
): string {
  if (table.some((row) => row.some(Number.isNaN) && !row.includes(Infinity)))
    return "Some task's λc is unresolved at every ratio that may be good. There is nothing to recommend.";
  const never = tasks.filter((_, t) => table.every((row) => row[t] === Infinity));
  const named = never.map((task) => `"${task}"`).join(" and ");
  const none = "no ratio lowers the loss of every task";
  if (repeats < fewestRepeats) {
    const which = named ? `no ratio's update lowers ${named}` : none;
    return `In their mean ${which}. ${few(repeats)}`;
  }
  if (descends !== false)
    return `The data do not decide: in their mean ${named ? `no ratio's update lowers ${named}` : none}, but that some ratio lowers every task cannot be excluded. There is nothing to recommend: measure more repeats or larger batches.`;
  const which = named ? `: no ratio's update lowers ${named}` : "";
  return `N${none.slice(1)}${which} (95 % confidence). There is nothing to recommend.`;
}

function found(
  { ratios }: SharpnessTable,
  best: SweetSpot,
  { ratios: chosen, decided, descends, repeats }: Omit<MixRecommendation, "sentence">,
): string {
  const rate = short(2 / best.criticalSharpness);
  const basin = `up to a learning rate of ${rate} no task's loss rises along the update, and "${best.task}" is the first that does`;
  const edge =
    ratios.length > 1 && (best.place === 0 || best.place === ratios.length - 1)
      ? " It lies at the end of the ratios that were measured."
      : "";
  const at = `he largest common learning rate is at the ratio ${short(best.ratio)}`;
  if (repeats < fewestRepeats) return `T${at}: ${basin}. ${few(repeats)}`;
  const open =
    descends === true
      ? ""
      : ` That no ratio lowers the loss of every task ${descends === false ? "is what the repeats say" : "cannot be excluded"}.`;
  const others = ratiosText(chosen, ratios);
  if (ratios.length === 1) return `T${at}, the only one that was measured: ${basin}.${open}`;
  if (!decided)
    return `The data do not decide: in the mean t${at}, but no ratio is significantly worse than another. There ${basin}.${open} Measure more repeats or larger batches.`;
  const only = chosen.length === 1;
  const set = only
    ? "every other one is significantly worse, with 95 % confidence"
    : `the best is one of ${others} with 95 % confidence`;
  return `T${at} (${set}): ${basin}.${open}${edge}`;
}
