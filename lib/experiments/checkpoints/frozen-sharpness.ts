import { checkFrozenOptions, type FrozenOptions } from "./frozen-options.js";
import { FrozenSeries } from "./frozen-series.js";
import { type FrozenMeasurement, type FrozenSummary, summarize } from "./frozen-summary.js";

export interface FrozenResult extends FrozenSummary {
  /** One for each measured batch, in order. */
  batches: FrozenMeasurement[];
  /** Gradients in the optimizer's state before the first measured batch: N, or those of the stored state. */
  accumulated: number;
}

/**
 * λc of a model whose weights stay as they are (the protocol for checkpoints of Kalra et al. 2026): the gradients of N
 * batches go into an optimizer's state, bias-corrected as usual. Then, M times, the gradient of the next batch goes in
 * too, Δ is what the optimizer would subtract, and λc along it is measured on that same batch, warm-started by the
 * measurement before. Of a stored state each measured batch is the next one by itself: the moments are those of the state again.
 *
 * @throws CriticalSharpnessError `ERR_NON_FINITE_LOSS`, `ERR_OPTIMIZER_STATE`, and those of `criticalSharpness`.
 * @throws AbortError; TypeError, RangeError naming the option.
 */
export async function frozenSharpness(options: FrozenOptions): Promise<FrozenResult> {
  const checked = checkFrozenOptions(options);
  using series = await FrozenSeries.begin(checked);
  const batches: FrozenMeasurement[] = [];
  for (let event = await series.next(); event; event = await series.next()) {
    if (event.type === "measured") {
      const { type: _, ...found } = event;
      batches.push(found);
    }
    checked.onProgress(event);
  }
  return { batches, accumulated: series.accumulated, ...summarize(checked, batches) };
}
