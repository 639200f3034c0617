import type { Line } from "./line.js";
import type { CheckedOptions } from "./options.js";

const factors = [4, 16];

/**
 * Looks below the answer, at lower/4 and lower/16, for an earlier crossing: the loss can rise, fall and rise again, and a
 * search that starts beyond the first crossing finds a later one. Where it finds one it searches there, and looks again.
 *
 * @returns whether the last answer was looked below, and nothing was found.
 */
export async function probeBelow(
  line: Line,
  options: CheckedOptions,
  search: (line: Line, options: CheckedOptions) => Promise<void>,
): Promise<boolean> {
  for (;;) {
    if (!line.lower || !wanted(line, options)) return false;
    // Without a crossing, everything from the start upwards was looked at; what lies below the start was not.
    const from = line.upper ? line.lower.learningRate : options.initialLearningRate;
    let found = false;
    for (const factor of factors) {
      if ((await line.evaluate(from / factor)).above) {
        found = true;
        break;
      }
    }
    if (!found) return true;
    await search(line, options);
  }
}

function wanted(line: Line, { firstCrossing }: CheckedOptions): boolean {
  if (typeof firstCrossing === "boolean") return firstCrossing;
  if (!line.lower || !line.upper) return true;
  const { learningRate } = line.lower;
  return firstCrossing.near.every((near) => learningRate > 4 * near || learningRate < near / 4);
}
