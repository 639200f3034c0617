// The same training here and in Python, batch by batch, for what is measured on the way.
import { writeSafetensors } from "../../dist/files/safetensors-writer.js";
import { seconds } from "./timing.mjs";

/** Writes a series of batches, each [rows, tokens], as training.py reads them. */
export async function writeSeries(file, [rows, tokens], made) {
  const source = (name, key) => ({
    name,
    dtype: "int64",
    shape: [made.length, rows, tokens],
    read: async (offset, length) => {
      const all = BigInt64Array.from(made.flatMap((batch) => Array.from(batch[key], BigInt)));
      return all.buffer.slice(offset, offset + length);
    },
  });
  await writeSafetensors(file, [source("input_ids", "inputIds"), source("labels", "labels")]);
}

export async function ourStep(model, optimizer, batch) {
  const gradient = await model.gradient(batch);
  await optimizer.accumulate(gradient);
  await optimizer.step();
  gradient.gradient.dispose();
}

/** A warm measurement of λc as part of a step: Δ and the search. */
export const withMeter =
  (meter) =>
  async ({ optimizer, ...line }) => {
    const direction = await optimizer.direction();
    const { forwardPasses, criticalLearningRate } = await meter.measure({ ...line, direction });
    direction.dispose();
    return { passes: forwardPasses, eta: criticalLearningRate };
  };

/**
 * Measurements in training steps, here and by the peer, in turns.
 *
 * @param peer asked to `step`, and then to `measure`
 * @param measures { name: measure({ model, optimizer, batch, gradient }) }
 * @param trained steps before the first measurement
 * @param cold measurements that do not count: they start from nothing
 * @param request what the peer is told beside the batch
 * @returns of each step that counts { step: seconds of training, peer: its answer, …: { seconds, passes, eta } of each measure }
 */
export async function measurementsBeside(
  peer,
  { model, optimizer, batches, measures, trained, cold, request = {} },
) {
  const found = [];
  for (const [i, batch] of batches.entries()) {
    if (i < trained) {
      await ourStep(model, optimizer, batch);
      await peer?.ask({ command: "step", batch: i });
      continue;
    }
    const round = {};
    let gradient;
    round.step = await seconds(async () => {
      gradient = await model.gradient(batch);
      await optimizer.accumulate(gradient);
    });
    for (const [name, measure] of Object.entries(measures)) {
      const time = await seconds(async () => {
        round[name] = await measure({ model, optimizer, batch, gradient });
      });
      round[name].seconds = time;
    }
    round.step += await seconds(() => optimizer.step());
    gradient.gradient.dispose();
    round.peer = await peer?.ask({ command: "measure", batch: i, ...request });
    if (i >= trained + cold) found.push(round);
  }
  return found;
}
