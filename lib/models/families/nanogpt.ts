import { gpt2Description } from "./gpt2.js";
import { activation, family, flag, layerCount, size } from "./settings.js";

const settings = {
  vocab_size: size(50304),
  block_size: size(1024),
  n_embd: size(768),
  n_layer: layerCount(12),
  n_head: size(12),
  bias: flag(true),
  // Of checkpoints from before it was exact: "gelu_new".
  activation_function: activation("gelu", ["gelu", "gelu_new"]),
};

/** GPT-2 as nanoGPT (Karpathy 2022) trains it: weights stored [out, in], without biases if so wished; `model_args` of its ckpt.pt. */
export const nanogpt = family(
  {
    architecture: "GPT",
    prefix: "transformer.",
    buffers: /\.attn\.bias$/,
    registration: "as-computed",
  },
  { settings, ignored: /^dropout$/ },
  ({ block_size, bias, ...values }) => {
    const { description, contextLength } = gpt2Description({
      ...values,
      ...{ n_positions: block_size, n_inner: null, layer_norm_epsilon: 1e-5, tie_word_embeddings: true },
    });
    return {
      contextLength,
      description: {
        ...description,
        norm: { ...description.norm, bias },
        ...{ queryKeyValueBias: bias, attentionOutputBias: bias, mlpBias: bias },
        storage: "out_in",
      },
    };
  },
);
