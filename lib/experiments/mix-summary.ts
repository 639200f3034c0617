import { random } from "../data/random.js";
import { type Measured, type MixPoint, mixPoint, pooledSharpness } from "./mix-estimate.js";
import { type MixCrossing, type MixRecommendation, recommend, sweetSpot } from "./mix-recommendation.js";

export interface MixSummary {
  /** By ratio and task. */
  points: MixPoint[];
  recommendation: MixRecommendation;
}

export type { MixCrossing, MixPoint, MixRecommendation };

const resamples = 2000;

/**
 * λc of every task at every ratio, and the ratio that they recommend. The intervals (95 %) come from resampling whole
 * repeats, since all that is measured in one shares its batches: differences between ratios and tasks are paired. One
 * repeat fewer is drawn than there are, which makes up for what resampling few makes too narrow (Hesterberg 2015).
 */
export function summarizeMix(measured: readonly Measured[], seed = 0): MixSummary {
  const ratios = [...new Set(measured.map(({ ratio }) => ratio))].sort((a, b) => a - b);
  const tasks = [...new Set(measured.map(({ task }) => task))];
  const repeats = [...new Set(measured.map(({ repeat }) => repeat))];
  const places = new Map(repeats.map((repeat, place) => [repeat, place]));
  // By ratio, task and repeat.
  const cells = ratios.map((ratio) =>
    tasks.map((task) => {
      const cell: Measured[] = [];
      for (const m of measured)
        if (m.ratio === ratio && m.task === task) cell[places.get(m.repeat) as number] = m;
      return cell;
    }),
  );
  const points = cells.map((row) => row.map(mixPoint));
  const table = (of: (cell: Measured[]) => number) => cells.map((row) => row.map(of));
  const drawn: number[][][] = [];
  if (repeats.length > 1) {
    const generator = random("mix resamples", seed);
    for (let i = 0; i < resamples; i++) {
      const chosen = Array.from({ length: repeats.length - 1 }, () => generator.below(repeats.length));
      drawn.push(
        table((cell) => pooledSharpness(chosen.map((place) => (cell[place] as Measured).measurement))),
      );
    }
    for (const [r, row] of points.entries())
      for (const [t, point] of row.entries())
        point.interval = quantiles(drawn.map((sample) => sample[r]?.[t] as number));
  }
  const given = { ratios, tasks };
  return {
    points: points.flat(),
    recommendation: recommend(
      { ...given, table: points.map((row) => row.map((point) => point.criticalSharpness)) },
      drawn.map((sample) => sweetSpot({ ...given, table: sample })),
      repeats.length,
    ),
  };
}

/** The middle 95 %. */
export function quantiles(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const outside = Math.floor(sorted.length * 0.025);
  return [sorted[outside] as number, sorted[sorted.length - 1 - outside] as number];
}
