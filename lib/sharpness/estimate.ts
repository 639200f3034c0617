import type { SearchResult } from "../search/index.js";
import { statistics } from "../statistics.js";

/** What is known of a quantity from a few batches. */
export interface Estimate {
  /** Arithmetic mean of the values; null of none. */
  mean: number | null;
  /**
   * s/√n with the sample's standard deviation s, as for independent values; null of fewer than two. Batches that follow
   * each other share most of their moments, so that it tells the spread between batches rather than that between runs.
   */
  standardError: number | null;
  /** Number of values. */
  count: number;
}

/**
 * λc over batches. The mean is that of λc itself (not of ηc) over the batches along which Δ descends: `non-descent` ones,
 * whose λc is infinite, are left out and counted in `nonDescent`; `unbounded` ones count as λc = 0, which is what they
 * are to within the search's range, and are counted in `unbounded` too. `unresolved` ones are in neither mean nor median, and are
 * counted.
 */
export interface SharpnessEstimate extends Estimate {
  /** Middle value over all batches that are resolved, `non-descent` ones as infinite; NaN of none. */
  median: number;
  nonDescent: number;
  unbounded: number;
  unresolved: number;
}

export function estimate(values: readonly number[]): Estimate {
  const { mean, standardError } = statistics(values);
  const count = values.length;
  return { mean: count > 0 ? mean : null, standardError: count > 1 ? standardError : null, count };
}

export function estimateSharpness(
  results: readonly Pick<SearchResult, "status" | "criticalSharpness">[],
): SharpnessEstimate {
  const values = results
    .map(({ criticalSharpness }) => criticalSharpness)
    .filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b);
  const middle = values.length >> 1;
  const upper = values[middle] ?? NaN;
  const counted = (status: SearchResult["status"]) =>
    results.filter((result) => result.status === status).length;
  return {
    ...estimate(values.filter(Number.isFinite)),
    median: values.length % 2 === 1 ? upper : ((values[middle - 1] as number) + upper) / 2,
    nonDescent: counted("non-descent"),
    unbounded: counted("unbounded"),
    unresolved: counted("unresolved"),
  };
}
