// Where the losses of a training jump.
import { median } from "./timing.mjs";

/** Losses before a step that say what is usual. */
const memory = 10;

/**
 * Places in a list of losses (from 0) that are above the median of the ten before them by more than five of their standard deviations
 * (1.4826 times the median distance from the median) and more than 5 % of the first loss; and the first that is not finite.
 */
export function spikesOf(losses) {
  const found = [];
  for (let i = 1; i < losses.length; i++) {
    const loss = losses[i];
    if (!Number.isFinite(loss)) {
      found.push(i);
      break;
    }
    if (i < memory) continue;
    const before = losses.slice(i - memory, i);
    const middle = median(before);
    const deviation = 1.4826 * median(before.map((one) => Math.abs(one - middle)));
    if (loss - middle > Math.max(5 * deviation, 0.05 * losses[0])) found.push(i);
  }
  return found;
}
