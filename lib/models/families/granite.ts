import { llamaCheckpoint, llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { alike } from "./rotary.js";
import { family, flag, positive } from "./settings.js";

const settings = {
  ...llamaSettings,
  rms_norm_eps: positive(1e-6),
  attention_bias: flag(false),
  mlp_bias: flag(false),
  embedding_multiplier: positive(1),
  attention_multiplier: positive(1),
  residual_multiplier: positive(1),
  logits_scaling: positive(1),
};

/** Granite (IBM 2024): Llama with multipliers in the manner of μP (Yang et al. 2022); logits are divided by theirs. */
export const granite = family(
  { architecture: "GraniteForCausalLM", ...llamaCheckpoint },
  { settings },
  (values) => ({
    description: {
      ...llamaDescription(values, values.rms_norm_eps),
      ...alike(values.num_hidden_layers, llamaRotation(values)),
      queryKeyValueBias: values.attention_bias,
      attentionOutputBias: values.attention_bias,
      mlpBias: values.mlp_bias,
      embeddingScale: values.embedding_multiplier,
      attentionScale: values.attention_multiplier,
      residualScale: values.residual_multiplier,
      logitScale: 1 / values.logits_scaling,
    },
    contextLength: values.max_position_embeddings,
  }),
);
