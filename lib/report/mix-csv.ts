import { csvText } from "./csv.js";
import type { MixRecords } from "./mix-records.js";

const columns = [
  "repeat",
  "ratio",
  "task",
  "status",
  "criticalLearningRate",
  "criticalSharpness",
  "low",
  "high",
  "slope",
  "slopeStandardError",
  "nonDescent",
  "unbounded",
  "unresolved",
  "forwardPasses",
] as const;

/**
 * A mix as comma-separated values: a line for each repeat, ratio and task, and one, its repeat "all", for what they say
 * together, with the interval of λc. Infinite ones are written as Infinity, unresolved ones are empty.
 */
export function mixCsv({ lines, points }: Pick<MixRecords, "lines" | "points">): string {
  const empty = Object.fromEntries(columns.map((name) => [name, null])) as Record<
    (typeof columns)[number],
    null
  >;
  const each = lines.map(({ repeat, ratio, task, measurement }) => {
    const { status, criticalLearningRate, criticalSharpness, slope, forwardPasses } = measurement;
    return {
      ...empty,
      ...{ repeat, ratio, task, status, slope, forwardPasses },
      criticalLearningRate: status === "unbounded" ? Infinity : criticalLearningRate,
      criticalSharpness: status === "non-descent" ? Infinity : criticalSharpness,
    };
  });
  const all = points.map(({ interval, slope, count: _, ...point }) => ({
    ...empty,
    ...point,
    repeat: "all",
    low: interval?.[0],
    high: interval?.[1],
    slope: slope.mean,
    slopeStandardError: slope.standardError,
  }));
  return csvText(columns, [...each, ...all]);
}
