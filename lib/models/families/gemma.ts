import {
  type LlamaValues,
  llamaCheckpoint,
  llamaDescription,
  llamaRotation,
  llamaSettings,
} from "./llama.js";
import { ofTypes, rotaryOfType, rotation } from "./rotary.js";
import {
  type ActivationName,
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

const { hidden_act: _, ...llamas } = llamaSettings;
const shared = {
  ...llamas,
  hidden_size: size(2304),
  intermediate_size: size(9216),
  num_hidden_layers: layerCount(26),
  num_attention_heads: size(8),
  num_key_value_heads: optional(size(1), 4),
  head_dim: size(256),
  hidden_activation: activation("gelu_pytorch_tanh"),
  rms_norm_eps: positive(1e-6),
  tie_word_embeddings: flag(true),
  pad_token_id: token(0),
  attention_bias: flag(false),
  query_pre_attn_scalar: positive(256),
  sliding_window: optional(size(1), 4096),
  layer_types: layerTypes,
};

type SharedValues = Omit<LlamaValues, "hidden_act"> & {
  hidden_activation: ActivationName;
  rms_norm_eps: number;
  attention_bias: boolean;
  query_pre_attn_scalar: number;
  final_logit_softcapping: number | null;
};

/** Norms that multiply by 1 + the weight, before and after; a scaled embedding. Without the layers' attention. */
function gemmaDescription(own: SharedValues) {
  const description = llamaDescription({ ...own, hidden_act: own.hidden_activation }, own.rms_norm_eps);
  return {
    ...description,
    norm: { ...description.norm, weightFromOne: true },
    attentionScale: 1 / Math.sqrt(own.query_pre_attn_scalar),
    logitCap: own.final_logit_softcapping ?? 0,
    embeddingScale: Math.sqrt(own.hidden_size),
    names: {
      ...description.names,
      attentionPostNorm: "post_attention_layernorm",
      mlpNorm: "pre_feedforward_layernorm",
      mlpPostNorm: "post_feedforward_layernorm",
    },
  };
}

/** A window in all layers but every `interval`-th. */
const usualTypes = (count: number, interval: number) =>
  Array.from(
    { length: count },
    (_, i): LayerType => ((i + 1) % interval === 0 ? "full_attention" : "sliding_attention"),
  );

const settings2 = {
  ...shared,
  vocab_size: size(256_000),
  max_position_embeddings: size(8192),
  final_logit_softcapping: optional(positive(1), 30),
  attn_logit_softcapping: optional(positive(1), 50),
};

/** Gemma 2 (Gemma Team 2024): norms before and after, capped scores and logits, a window in every other layer. */
export const gemma2 = family(
  { architecture: "Gemma2ForCausalLM", ...llamaCheckpoint },
  {
    settings: settings2,
    // hidden_act and sliding_window_size stand beside the keys that are read in published configurations.
    ignored: /^(hidden_act|sliding_window_size)$/,
    fixed: { use_bidirectional_attention: null },
  },
  (own) => {
    const count = own.num_hidden_layers;
    const turned = llamaRotation({ ...own, hidden_act: own.hidden_activation });
    return {
      description: {
        ...gemmaDescription(own),
        ...ofTypes(count, own.layer_types ?? usualTypes(count, 2), own.sliding_window, () => turned),
        attentionCap: own.attn_logit_softcapping ?? 0,
      },
      contextLength: own.max_position_embeddings,
    };
  },
);

const settings3 = {
  ...shared,
  vocab_size: size(262_208),
  max_position_embeddings: size(131_072),
  rope_theta: positive(1_000_000),
  rope_local_base_freq: positive(10_000),
  sliding_window_pattern: size(6),
  final_logit_softcapping: optional(positive(1)),
};

/**
 * The text model of Gemma 3 (Gemma Team 2025): norms of each head's queries and keys in place of capped scores, five layers with a
 * window to one without, and a slower rotation where there is none. A cap of the scores, which transformers reads and does not use,
 * is refused.
 */
export const gemma3 = family(
  { architecture: "Gemma3ForCausalLM", ...llamaCheckpoint },
  { settings: settings3 },
  (own) => {
    const count = own.num_hidden_layers;
    const types = own.layer_types ?? usualTypes(count, own.sliding_window_pattern);
    const rotationOf = (type: LayerType) => {
      const base = type === "full_attention" ? own.rope_theta : own.rope_local_base_freq;
      return rotation({ ...rotaryOfType(own, type, base), headWidth: own.head_dim });
    };
    const description = gemmaDescription(own);
    return {
      description: {
        ...description,
        ...ofTypes(count, types, own.sliding_window, rotationOf),
        names: { ...description.names, queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm" },
      },
      contextLength: own.max_position_embeddings,
    };
  },
);
