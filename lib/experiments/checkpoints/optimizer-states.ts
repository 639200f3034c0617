import { stat } from "node:fs/promises";
import path from "node:path";
import { CriticalSharpnessError } from "../../errors.js";
import { type FoundState, findOptimizerState, locateState } from "../../optimizers/index.js";
import type { ListedCheckpoint } from "./checkpoint-list.js";
import type { SeriesConfiguration } from "./series-configuration.js";

/**
 * The optimizers' states of a series' checkpoints, by directory; none where moments are to be accumulated here. λc of the two is not
 * the same thing, so that all checkpoints have one or none has.
 *
 * @throws CriticalSharpnessError `ERR_CHECKPOINTS` naming those without.
 */
export async function findStates(
  checkpoints: readonly ListedCheckpoint[],
  { optimizerState, direction }: Pick<SeriesConfiguration, "optimizerState" | "direction">,
): Promise<ReadonlyMap<string, FoundState>> {
  const states = new Map<string, FoundState>();
  if (optimizerState === "none" || direction !== null) return states;
  const missing: string[] = [];
  for (const { directory, name } of checkpoints) {
    const found = await stateOf(directory, optimizerState);
    if (found) states.set(directory, found);
    else missing.push(name);
  }
  if (missing.length === 0 || (optimizerState === "auto" && states.size === 0)) return states;
  const what = optimizerState === "auto" ? "an optimizer's state" : `"${optimizerState}"`;
  const named = missing.slice(0, 3).join(", ") + (missing.length > 3 ? ", …" : "");
  throw new CriticalSharpnessError(
    "ERR_CHECKPOINTS",
    `Expected ${what} beside the weights of every checkpoint, or of none, but received ${missing.length} of ${checkpoints.length} ` +
      `without (${named}): leave these out, or accumulate the moments of all with --optimizer-state none`,
  );
}

async function stateOf(directory: string, wanted: string): Promise<FoundState | undefined> {
  if (wanted === "auto") return findOptimizerState(directory);
  const place = path.join(directory, wanted);
  const entry = await stat(place).catch(() => undefined);
  if (!entry) return undefined;
  return locateState(place);
}
