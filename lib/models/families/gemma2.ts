import { llamaCheckpoint, llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { ofTypes } from "./rotary.js";
import {
  activation,
  family,
  flag,
  type LayerType,
  layerCount,
  layerTypes,
  optional,
  positive,
  size,
  token,
} from "./settings.js";

const { hidden_act: _, ...shared } = llamaSettings;
const settings = {
  ...shared,
  vocab_size: size(256_000),
  hidden_size: size(2304),
  intermediate_size: size(9216),
  num_hidden_layers: layerCount(26),
  num_attention_heads: size(8),
  num_key_value_heads: optional(size(1), 4),
  head_dim: size(256),
  hidden_activation: activation("gelu_pytorch_tanh"),
  max_position_embeddings: size(8192),
  rms_norm_eps: positive(1e-6),
  tie_word_embeddings: flag(true),
  pad_token_id: token(0),
  attention_bias: flag(false),
  query_pre_attn_scalar: positive(256),
  sliding_window: optional(size(1), 4096),
  layer_types: layerTypes,
  final_logit_softcapping: optional(positive(1), 30),
  attn_logit_softcapping: optional(positive(1), 50),
};

/** Gemma 2 (Gemma Team 2024): norms before and after, capped scores and logits, a window in every other layer. */
export const gemma2 = family(
  { architecture: "Gemma2ForCausalLM", ...llamaCheckpoint },
  // hidden_act and sliding_window_size stand beside the keys that are read in published configurations.
  { settings, ignored: /^(hidden_act|sliding_window_size)$/, fixed: { use_bidirectional_attention: null } },
  (own) => {
    const values = { ...own, hidden_act: own.hidden_activation };
    const description = llamaDescription(values, values.rms_norm_eps);
    const count = values.num_hidden_layers;
    const types = Array.from(
      { length: count },
      (_, i): LayerType => (i % 2 === 0 ? "sliding_attention" : "full_attention"),
    );
    const rotation = llamaRotation(values);
    return {
      description: {
        ...description,
        ...ofTypes(count, values.layer_types ?? types, values.sliding_window, () => rotation),
        norm: { ...description.norm, weightFromOne: true },
        queryKeyValueBias: values.attention_bias,
        attentionOutputBias: values.attention_bias,
        attentionScale: 1 / Math.sqrt(values.query_pre_attn_scalar),
        attentionCap: values.attn_logit_softcapping ?? 0,
        logitCap: values.final_logit_softcapping ?? 0,
        embeddingScale: Math.sqrt(values.hidden_size),
        names: {
          ...description.names,
          attentionPostNorm: "post_attention_layernorm",
          mlpNorm: "pre_feedforward_layernorm",
          mlpPostNorm: "post_feedforward_layernorm",
        },
      },
      contextLength: values.max_position_embeddings,
    };
  },
);
