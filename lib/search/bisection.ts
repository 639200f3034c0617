import type { Line } from "./line.js";
import type { CheckedOptions } from "./options.js";

/**
 * The procedure of Kalra et al. 2026: from the initial learning rate double while the loss does not rise, or halve while
 * it does; then bisect. It stops short where no crossing was met within `maximumDoublings`.
 */
export async function bisect(line: Line, options: CheckedOptions): Promise<void> {
  if (!line.lower && !line.upper) await line.evaluate(options.initialLearningRate);
  const smallest = options.initialLearningRate * 2 ** -options.maximumDoublings;
  const largest = options.initialLearningRate * 2 ** options.maximumDoublings;
  while (!line.upper && line.lower && line.lower.learningRate < largest)
    await line.evaluate(Math.min(largest, line.lower.learningRate * 2));
  while (!line.lower && line.upper && line.upper.learningRate > smallest)
    await line.evaluate(Math.max(smallest, line.upper.learningRate / 2));
  while (line.lower && line.upper && !line.narrow)
    await line.evaluate((line.lower.learningRate + line.upper.learningRate) / 2);
}
