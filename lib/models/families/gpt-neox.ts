import { llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { alike } from "./rotary.js";
import { activation, family, flag, layerCount, positive, size } from "./settings.js";

const {
  head_dim: _,
  num_key_value_heads: __,
  rope_theta: ___,
  pad_token_id: ____,
  ...shared
} = llamaSettings;
const settings = {
  ...shared,
  vocab_size: size(50432),
  hidden_size: size(6144),
  intermediate_size: size(24576),
  num_hidden_layers: layerCount(44),
  num_attention_heads: size(64),
  hidden_act: activation("gelu"),
  layer_norm_eps: positive(1e-5),
  use_parallel_residual: flag(true),
  attention_bias: flag(true),
  rotary_pct: positive(0.25),
  rotary_emb_base: positive(10000),
};

/** GPT-NeoX (Black et al. 2022), which Pythia is: parallel residuals, a part of each head rotated. */
export const gptNeox = family(
  {
    architecture: "GPTNeoXForCausalLM",
    prefix: "gpt_neox.",
    aliases: { "embed_out.weight": "lm_head.weight" },
    buffers: /\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,
    registration: "norms-first",
  },
  { settings },
  (own) => {
    const { rotary_emb_base: rope_theta } = own;
    // Its embedding has no padding_idx in transformers.
    const values = { ...own, head_dim: null, num_key_value_heads: null, pad_token_id: null, rope_theta };
    return {
      description: {
        ...llamaDescription(values, values.layer_norm_eps),
        ...alike(values.num_hidden_layers, llamaRotation(values, values.rotary_pct, true)),
        norm: {
          kind: "layer",
          epsilon: values.layer_norm_eps,
          weight: true,
          bias: true,
          weightFromOne: false,
        },
        parallel: values.use_parallel_residual,
        queryKeyValueByHead: true,
        queryKeyValueBias: values.attention_bias,
        attentionOutputBias: values.attention_bias,
        mlpBias: true,
        names: {
          embedding: "gpt_neox.embed_in",
          layers: "gpt_neox.layers.",
          finalNorm: "gpt_neox.final_layer_norm",
          attentionNorm: "input_layernorm",
          queryKeyValue: "attention.query_key_value",
          attentionOutput: "attention.dense",
          mlpNorm: "post_attention_layernorm",
          up: "mlp.dense_h_to_4h",
          down: "mlp.dense_4h_to_h",
          ...(values.tie_word_embeddings ? {} : { head: "embed_out" }),
        },
      },
      contextLength: values.max_position_embeddings,
    };
  },
);
