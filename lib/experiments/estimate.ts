import { statistics } from "../measures/statistics.js";
import type { SearchResult } from "../search/index.js";

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
 * are to within the search's range, and are counted in `unbounded` too.
 */
export interface SharpnessEstimate extends Estimate {
  /** Middle value over all batches, `non-descent` ones as infinite: not moved by what the mean leaves out. */
  median: number;
  nonDescent: number;
  unbounded: number;
}

export function estimate(values: readonly number[]): Estimate {
  const { mean, standardError } = statistics(values);
  const count = values.length;
  return { mean: count > 0 ? mean : null, standardError: count > 1 ? standardError : null, count };
}

export function estimateSharpness(
  results: readonly Pick<SearchResult, "status" | "criticalSharpness">[],
): SharpnessEstimate {
  const values = results.map(({ criticalSharpness }) => criticalSharpness).sort((a, b) => a - b);
  const middle = values.length >> 1;
  const upper = values[middle] as number;
  const counted = (status: SearchResult["status"]) =>
    results.filter((result) => result.status === status).length;
  return {
    ...estimate(values.filter(Number.isFinite)),
    median: values.length % 2 === 1 ? upper : ((values[middle - 1] as number) + upper) / 2,
    nonDescent: counted("non-descent"),
    unbounded: counted("unbounded"),
  };
}
