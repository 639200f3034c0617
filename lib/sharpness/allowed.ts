import { type AllowedStep, findAllowedLearningRate, type LossAt } from "../search/index.js";
import { ownSignal } from "../torch/index.js";
import type { OpenLine } from "./line.js";
import type { MeasuredSharpness, ModelLine } from "./measure-line.js";
import type { Measure } from "./measure-options.js";
import type { NoiseCircumstances, NoiseMemory } from "./noise.js";
import { expectedLossNoise, scatterOfLosses } from "./noise.js";

/** Part of the tolerance below which noise moves no answer. */
const harmless = 1 / 32;

/**
 * The largest step within the budget `allow`, on a line whose ηc was searched: from its evaluations, with the noise that was
 * measured of the model, or that is measured where the budget ends if it may matter.
 */
export async function withAllowed(
  found: MeasuredSharpness,
  { lossAt: loss, norm }: Pick<OpenLine, "lossAt" | "norm">,
  { model, batch, signal }: ModelLine,
  { allow, tolerance, initialLearningRate, lossNoise }: Measure,
  memory: NoiseMemory,
): Promise<MeasuredSharpness> {
  if (allow === undefined) return found;
  let forwardPasses = found.forwardPasses;
  const lossAt: LossAt = (learningRate) => {
    forwardPasses++;
    return loss(learningRate);
  };
  const baseLoss = found.baseLoss ?? (await lossAt(0));
  const { dtype, slope, evaluations: known } = found;
  const about = (learningRate: number | null): NoiseCircumstances => ({
    dtype,
    count: batch.count,
    loss: baseLoss,
    distance: learningRate === null ? null : learningRate * norm,
  });
  const search = async (evaluations: MeasuredSharpness["evaluations"], sigma: number) =>
    findAllowedLearningRate(lossAt, {
      ...{ allow, tolerance, initialLearningRate, baseLoss, evaluations },
      signal: ownSignal(signal, model),
      slope: slope ?? undefined,
      lossNoise: sigma,
    });
  const recalled = memory.recall(about(null))?.sigma;
  const sigma = lossNoise ?? recalled ?? expectedLossNoise(dtype, batch, baseLoss);
  let { allowed, evaluations: own } = await search(known, sigma);
  const center = whereNoiseMatters(allowed, harmless * tolerance);
  if (lossNoise === undefined && center !== undefined && !memory.recall(about(center))?.isSettled) {
    const scatter = await scatterOfLosses(lossAt, center, allowed.noise ?? 1);
    if (scatter > 0) {
      memory.remember(about(center), scatter);
      const again = await search([...known, ...own], memory.recall(about(center))?.sigma ?? scatter);
      own = [...own, ...again.evaluations];
      allowed = again.allowed;
    }
  }
  return { ...found, baseLoss, allowed, evaluations: [...known, ...own], forwardPasses };
}

/** Where along the line losses are to be told from the level. */
function whereNoiseMatters({ learningRate, noise, upper }: AllowedStep, most: number): number | undefined {
  if (noise === null || noise <= most) return undefined;
  return learningRate ?? upper ?? undefined;
}
