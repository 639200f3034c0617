/** λc of each task, by ratio and task. */
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
  /** Null where at each ratio some task's loss rises at once. */
  ratio: number | null;
  /** Of the ratio, with 95 % confidence; null of one repeat. */
  interval: [low: number, high: number] | null;
  /** The task that allows least there, its λc and ηc: the largest learning rate in the basin that all tasks share. */
  task: string | null;
  criticalSharpness: number | null;
  criticalLearningRate: number | null;
  crossing: MixCrossing | null;
  /** For each ratio the part of the resamples in which it is the best. */
  support: { ratio: number; part: number }[];
  /** Whether the data tell one part of the ratios from another. */
  decided: boolean;
  /** All of it in plain words. */
  sentence: string;
}

/** Whether a ratio may be there although none was found: so it is in some of the resamples. */
export function mayHaveRatio({ support }: Pick<MixRecommendation, "support">): boolean {
  return support.reduce((sum, { part }) => sum + part, 0) > 0.05;
}

/** Undefined where at each ratio some task's λc is infinite. */
export function sweetSpot({ ratios, tasks, table }: SharpnessTable): SweetSpot | undefined {
  const largest = table.map((row) =>
    row.reduce((most, value, t) => (value > (row[most] as number) ? t : most), 0),
  );
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

/**
 * @param drawn the sweet spot of each resample
 * @param repeats that were measured
 */
export function recommend(
  table: SharpnessTable,
  drawn: readonly (SweetSpot | undefined)[],
  repeats: number,
): MixRecommendation {
  const { ratios } = table;
  const best = sweetSpot(table);
  const places = drawn.flatMap((spot) => (spot ? [spot.place] : [])).sort((a, b) => a - b);
  // Resamples without an answer count as far off on either side, half and half.
  const outside = drawn.length * 0.025 - (drawn.length - places.length) / 2;
  const skipped = Math.max(0, Math.floor(outside));
  const interval: [number, number] | null =
    best && places.length > 0
      ? [
          ratios[Math.min(best.place, places[skipped] as number)] as number,
          ratios[Math.max(best.place, places[places.length - 1 - skipped] as number)] as number,
        ]
      : null;
  const unanswered = drawn.length > 0 ? 1 - places.length / drawn.length : 0;
  const whole = interval !== null && interval[0] === ratios[0] && interval[1] === ratios.at(-1);
  const decided =
    best !== undefined && interval !== null && !whole && unanswered <= 0.05 && ratios.length > 1;
  return {
    ratio: best?.ratio ?? null,
    interval,
    task: best?.task ?? null,
    criticalSharpness: best?.criticalSharpness ?? null,
    criticalLearningRate: best ? 2 / best.criticalSharpness : null,
    crossing: best?.crossing ?? null,
    support: ratios.map((ratio, r) => ({
      ratio,
      part: drawn.length > 0 ? places.filter((place) => place === r).length / drawn.length : 0,
    })),
    decided,
    sentence: sentence(table, best, { interval, whole, unanswered, repeats, decided }),
  };
}

const short = (value: number) => Number(value.toPrecision(3)).toString();

function sentence(
  { ratios, tasks, table }: SharpnessTable,
  best: SweetSpot | undefined,
  given: {
    interval: [number, number] | null;
    whole: boolean;
    unanswered: number;
    repeats: number;
    decided: boolean;
  },
): string {
  const { interval, whole, unanswered, repeats } = given;
  if (!best) {
    const never = tasks.filter((_, t) => table.every((row) => row[t] === Infinity));
    const named = never.map((task) => `"${task}"`).join(" and ");
    const none = "no ratio lowers the loss of every task";
    if (unanswered < 0.95 && repeats > 1)
      return `The data do not decide: in their mean ${named ? `no ratio's update lowers ${named}` : none}, but in ${Math.round(100 * (1 - unanswered))} % of the resamples some ratio lowers every task. There is nothing to recommend: measure more repeats or larger batches.`;
    const which = named ? `: no ratio's update lowers ${named}` : "";
    return `N${none.slice(1)}${which}. There is nothing to recommend.`;
  }
  const rate = short(2 / best.criticalSharpness);
  const basin = `up to a learning rate of ${rate} no task's loss rises along the update, and "${best.task}" is the first that does`;
  const edge =
    ratios.length > 1 && (best.place === 0 || best.place === ratios.length - 1)
      ? " It lies at the end of the ratios that were measured."
      : "";
  const at = `The largest common learning rate is at the ratio ${short(best.ratio)}`;
  if (repeats < 2 || !interval) return `${at}: ${basin}. One repeat has no interval: measure more.`;
  const range = `between ${short(interval[0])} and ${short(interval[1])} with 95 % confidence`;
  if (whole)
    return `The data do not decide: ${at.charAt(0).toLowerCase()}${at.slice(1)}, but it may lie anywhere ${range}. Measure more repeats or larger batches.`;
  if (unanswered > 0.05)
    return `The data do not decide: in ${Math.round(100 * unanswered)} % of the resamples no ratio lowers the loss of every task. Else ${at.charAt(0).toLowerCase()}${at.slice(1)}: ${basin}.`;
  return `${at} (${range}): ${basin}.${edge}`;
}
