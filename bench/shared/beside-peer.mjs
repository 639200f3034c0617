// The same training here and in Python, batch by batch, for what is measured on the way.
import { SharpnessMeter } from "../../dist/index.js";
import { seconds } from "./timing.mjs";

export async function ourStep(model, optimizer, batch) {
  const gradient = await model.gradient(batch);
  await optimizer.accumulate(gradient);
  await optimizer.step();
  gradient.gradient.dispose();
}

/**
 * Warm measurements of λc (Δ and the search) in training steps, here and by the peer, in turns.
 *
 * @param trained steps before the first measurement
 * @param cold measurements that do not count: they start from nothing
 * @returns of each that counts: seconds and passes of both, and our ηc over the peer's
 */
export async function measurementsBeside(
  peer,
  { model, optimizer, batches, trained, cold, initialLearningRate },
) {
  const meter = new SharpnessMeter({ initialLearningRate });
  const found = { ours: [], theirs: [], passes: [], theirPasses: [], apart: [] };
  for (const [i, batch] of batches.entries()) {
    if (i < trained) {
      await ourStep(model, optimizer, batch);
      await peer.ask({ command: "step", batch: i });
      continue;
    }
    const gradient = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    let result;
    const time = await seconds(async () => {
      const direction = await optimizer.direction();
      result = await meter.measure({ model, batch, direction, gradient });
      direction.dispose();
    });
    await optimizer.step();
    gradient.gradient.dispose();
    const answer = await peer.ask({ command: "measure", batch: i });
    if (i < trained + cold) continue;
    found.ours.push(time);
    found.theirs.push(answer.seconds);
    found.passes.push(result.forwardPasses);
    found.theirPasses.push(answer.passes);
    found.apart.push(result.criticalLearningRate / answer.eta);
  }
  return found;
}
