import type { Batch } from "../../models/index.js";
import { takeBatch } from "../../runs/index.js";
import { measurementRecord, SharpnessMeter } from "../../sharpness/index.js";
import type { CheckSubject } from "./batches.js";
import type { CheckDivergedRecord, CheckTrialRecord } from "./check-records.js";

/**
 * A short linear warm-up to the η that is asked about, measured at every step: real steps, with the moments that they make. At its
 * end, however it ends, the weights are what they were, bit for bit. A loss or gradient that is not finite ends it.
 *
 * @param batchAt of the trial's step, from 1
 */
export async function* tryWarmup(
  { model, moments, configuration, learningRate, cost, signal }: CheckSubject,
  batchAt: (step: number) => Promise<Batch>,
): AsyncGenerator<CheckTrialRecord | CheckDivergedRecord> {
  const { trial, search, batch: shape, recompute, gradientClipping: clipping, weightDecay } = configuration;
  if (trial === 0) return;
  const { microBatch } = shape;
  const meter = new SharpnessMeter({
    ...search,
    method: "estimated",
    initialLearningRate: learningRate,
    microBatch,
  });
  using optimizer = await moments.optimizer(signal);
  using weights = await model.copyWeights({ signal });
  try {
    for (let step = 1; step <= trial + 1; step++) {
      const started = performance.now();
      const batch = await batchAt(step);
      const how = { microBatch, recompute, clipping, weightDecay, signal };
      cost.gradients++;
      using taken = await takeBatch({ model, optimizer }, batch, how).catch((error) => {
        if (error.code === "ERR_NON_FINITE_LOSS") return undefined;
        throw error;
      });
      const { loss = NaN, gradientNorm = NaN } = taken ?? {};
      if (!taken || !Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        yield {
          type: "diverged",
          step,
          received: `a loss of ${loss} and a gradient of norm ${gradientNorm}`,
        };
        return;
      }
      using direction = await optimizer.direction({ weightDecay, stored: optimizer.isWhole, signal });
      const found = await meter.measure({ model, batch, direction, ...taken.known(), signal });
      cost.forwardPasses += found.forwardPasses;
      const rate = learningRate * Math.min(1, step / trial);
      const measurement = measurementRecord(found, (performance.now() - started) / 1000);
      yield { type: "trial", step, learningRate: rate, loss, gradientNorm, measurement };
      if (step <= trial) await optimizer.step({ learningRate: rate, signal });
    }
  } finally {
    await model.restoreWeights(weights);
  }
}
