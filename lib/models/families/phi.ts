import { llamaCheckpoint, llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { alike } from "./rotary.js";
import { activation, family, flag, layerCount, positive, size } from "./settings.js";

const { head_dim: _, ...shared } = llamaSettings;
const settings = {
  ...shared,
  vocab_size: size(51200),
  hidden_size: size(2048),
  intermediate_size: size(8192),
  num_hidden_layers: layerCount(24),
  hidden_act: activation("gelu_new"),
  layer_norm_eps: positive(1e-5),
  partial_rotary_factor: positive(0.5),
  qk_layernorm: flag(false),
};

/** Phi-1 and 2 (Gunasekar et al. 2023): one norm for attention and MLP, which are parallel; biases everywhere. */
export const phi = family(
  { architecture: "PhiForCausalLM", ...llamaCheckpoint },
  { settings, fixed: { tie_word_embeddings: false } },
  (own) => {
    const values = { ...own, head_dim: null };
    return {
      description: {
        ...llamaDescription(values, values.layer_norm_eps),
        ...alike(values.num_hidden_layers, llamaRotation(values, values.partial_rotary_factor, true)),
        norm: {
          kind: "layer",
          epsilon: values.layer_norm_eps,
          weight: true,
          bias: true,
          weightFromOne: false,
        },
        parallel: true,
        queryKeyValueBias: true,
        attentionOutputBias: true,
        mlpBias: true,
        headBias: true,
        names: {
          embedding: "model.embed_tokens",
          layers: "model.layers.",
          finalNorm: "model.final_layernorm",
          attentionNorm: "input_layernorm",
          query: "self_attn.q_proj",
          key: "self_attn.k_proj",
          value: "self_attn.v_proj",
          attentionOutput: "self_attn.dense",
          up: "mlp.fc1",
          down: "mlp.fc2",
          head: "lm_head",
          ...(values.qk_layernorm
            ? { queryNorm: "self_attn.q_layernorm", keyNorm: "self_attn.k_layernorm" }
            : {}),
        },
      },
      contextLength: values.max_position_embeddings,
    };
  },
);
