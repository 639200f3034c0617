// One step of the protocol for checkpoints on a model of 1.5 billion parameters, in float32: AdamW's moments from one batch, then
// λc along Δ of the next. Needs 21 GB of memory and `npm run build`.
import { Batch, createModel, frozenSharpness } from "../dist/index.js";
import { olmo2 } from "./shared/models.mjs";
import { peak } from "./shared/peak.mjs";
import { figure, writeResults } from "./shared/results.mjs";

/** That of OLMo-2 1B. */
const config = olmo2({ vocab_size: 100352, num_hidden_layers: 16, tie_word_embeddings: false });
const sequence = 64;

function randomBatch(seed) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return BigInt(state % config.vocab_size);
  };
  const ids = Array.from({ length: sequence + 1 }, next);
  const tokens = (from) => BigInt64Array.from(ids.slice(from, from + sequence));
  return Batch.tokens({ inputIds: tokens(0), labels: tokens(1), shape: [1, sequence] });
}

const gigabytes = (bytes) => `${figure(bytes / 1e9)} GB`;

const started = performance.now();
const elapsed = () => Math.round((performance.now() - started) / 1000);
const model = await createModel(config, { seed: 1 });
const weights = 4 * model.parameterCount;
console.log(`${model.parameterCount} parameters, ${gigabytes(peak())} after ${elapsed()} s`);
const batches = [randomBatch(1), randomBatch(2)];
const result = await frozenSharpness({
  model,
  batches,
  optimizer: { type: "adamw", betas: [0.9, 0.95], weightDecay: 0.1 },
  accumulate: 1,
  measure: 1,
  recompute: true,
  onProgress: ({ type, loss }) =>
    console.log(`${type}: loss ${loss}, ${gigabytes(peak())} after ${elapsed()} s`),
});
const { status, criticalSharpness, criticalLearningRate, forwardPasses } = result.batches[0].measurement;
const most = peak();
await writeResults("large-model", "One protocol step on a model of 1.5 billion parameters", [
  {
    what: `peak resident memory of moments, Δ and a λc, ${figure(model.parameterCount / 1e9)} G parameters in float32`,
    bar: `≤ 1.15·(θ + m + v) (${gigabytes(1.15 * 3 * weights)})`,
    measured: `${gigabytes(most)}, ${figure(most / (3 * weights))}·(θ + m + v)`,
    met: most <= 1.15 * 3 * weights,
    detail: `OLMo-2's 1B configuration with random weights; 1 × ${sequence} tokens, activations recomputed, one accumulated batch and one measured; θ + m + v is ${gigabytes(3 * weights)}`,
  },
  {
    what: "λc of that model",
    bar: "measured",
    measured: `${figure(criticalSharpness)} (ηc ${figure(criticalLearningRate)}, ${status})`,
    met: status === "converged",
    detail: `${forwardPasses} forward passes; the whole process took ${elapsed()} s`,
  },
]);
