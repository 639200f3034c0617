import { expected } from "../../errors.js";
import type { NativeDecoderDescription } from "../../torch/index.js";
import {
  activation,
  activations,
  family,
  flag,
  layerCount,
  optional,
  positive,
  size,
  type ValuesOf,
} from "./settings.js";

const settings = {
  vocab_size: size(50257),
  n_positions: size(1024),
  n_embd: size(768),
  n_layer: layerCount(12),
  n_head: size(12),
  n_inner: optional(size(1)),
  activation_function: activation("gelu_new", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "tanh"]),
  layer_norm_epsilon: positive(1e-5),
  tie_word_embeddings: flag(true),
};
const fixed = {
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  add_cross_attention: false,
};

/** GPT-2 (Radford et al. 2019): learned positions, weights stored [in, out]. */
export const gpt2 = family(
  {
    architecture: "GPT2LMHeadModel",
    prefix: "transformer.",
    buffers: /\.attn\.(bias|masked_bias)$/,
    registration: "as-computed",
  },
  { settings, fixed, ignored: /^(n_ctx|summary_.*|reorder_and_upcast_attn)$/ },
  gpt2Description,
);

/** The decoder that these settings describe. @throws RangeError naming the setting. */
export function gpt2Description(values: ValuesOf<typeof settings>): {
  description: NativeDecoderDescription;
  contextLength: number;
} {
  const { n_embd: width, n_head: heads } = values;
  if (width % heads !== 0) throw expected(`a divisor of n_embd (${width})`, "config.n_head", heads, "range");
  return {
    description: {
      kind: "decoder",
      vocabularySize: values.vocab_size,
      width,
      heads,
      keyValueHeads: heads,
      headWidth: width / heads,
      innerWidth: values.n_inner ?? 4 * width,
      positions: values.n_positions,
      attentionKinds: [{ window: 0, frequencies: [], rotaryScale: 1 }],
      layers: Array(values.n_layer).fill(0),
      norm: {
        kind: "layer",
        epsilon: values.layer_norm_epsilon,
        weight: true,
        bias: true,
        weightFromOne: false,
      },
      queryKeyNorm: "head",
      parallel: false,
      queryKeyValueByHead: false,
      queryKeyValueBias: true,
      attentionOutputBias: true,
      mlpBias: true,
      headBias: false,
      storage: "in_out",
      activation: activations[values.activation_function],
      attentionScale: 1 / Math.sqrt(width / heads),
      attentionCap: 0,
      logitCap: 0,
      embeddingScale: 1,
      residualScale: 1,
      logitScale: 1,
      queryKeyValueBound: 0,
      initialDeviation: 0.02,
      paddingToken: -1,
      names: {
        embedding: "transformer.wte",
        positions: "transformer.wpe",
        layers: "transformer.h.",
        finalNorm: "transformer.ln_f",
        attentionNorm: "ln_1",
        queryKeyValue: "attn.c_attn",
        attentionOutput: "attn.c_proj",
        mlpNorm: "ln_2",
        up: "mlp.c_fc",
        down: "mlp.c_proj",
        ...(values.tie_word_embeddings ? {} : { head: "lm_head" }),
      },
    },
    contextLength: values.n_positions,
  };
}

const nanogptSettings = {
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
  { settings: nanogptSettings, ignored: /^dropout$/ },
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
