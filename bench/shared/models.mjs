// The networks and batches that the benchmarks work on.
import {
  Batch,
  byteTokenizer,
  random,
  stateOfTheUnionTexts,
  TokenBatches,
  tokenizeCorpus,
} from "../../dist/index.js";

/** GPT-2 configurations by their number of parameters, roughly. */
export const gpts = {
  "0.1 M": { vocab_size: 256, n_positions: 256, n_embd: 64, n_layer: 2, n_head: 2 },
  "1 M": { vocab_size: 1024, n_positions: 256, n_embd: 128, n_layer: 4, n_head: 4 },
  "10 M": { vocab_size: 8192, n_positions: 256, n_embd: 320, n_layer: 6, n_head: 5 },
  "40 M": { vocab_size: 16384, n_positions: 256, n_embd: 512, n_layer: 10, n_head: 8 },
  "124 M": { vocab_size: 50304, n_positions: 1024, n_embd: 768, n_layer: 12, n_head: 12 },
};

export const gpt = (size) => ({ model_type: "gpt2", ...gpts[size] });

/** Sequences of random tokens that have something to learn: each token is near the one before it. */
export function tokenBatch({ vocab_size, n_positions }, rows, sequence = n_positions, seed = 1) {
  const draw = random(seed, "tokens");
  const inputIds = new Int32Array(rows * sequence);
  const labels = new Int32Array(rows * sequence);
  for (let row = 0; row < rows; row++) {
    let token = draw.below(vocab_size);
    for (let t = 0; t < sequence; t++) {
      inputIds[row * sequence + t] = token;
      token = (token + draw.below(16)) % vocab_size;
      labels[row * sequence + t] = token;
    }
  }
  return { batch: Batch.tokens({ inputIds, labels, shape: [rows, sequence] }), inputIds, labels };
}

/** Training batches of real text, State of the Union addresses as bytes: data for `Batch.tokens`, one for each step. */
export async function textBatches({ n_positions }, rows, count) {
  const corpus = await tokenizeCorpus("addresses", stateOfTheUnionTexts(), byteTokenizer, {
    separator: "\n\n",
  });
  const batches = new TokenBatches(corpus, { size: rows, sequence: n_positions, seed: 1 });
  const made = [];
  for (let step = 1; step <= count; step++) made.push(await batches.training(step));
  return made;
}

/** The layers of OLMo-2 1B; vocabulary and depth are the caller's. */
export const olmo2 = (own) => ({
  model_type: "olmo2",
  hidden_size: 2048,
  intermediate_size: 8192,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-6,
  rope_theta: 500000,
  initializer_range: 0.02,
  ...own,
});
