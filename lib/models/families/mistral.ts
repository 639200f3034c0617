import { llamaCheckpoint, llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { alike } from "./rotary.js";
import { family, optional, positive, size } from "./settings.js";

const settings = {
  ...llamaSettings,
  intermediate_size: size(14336),
  num_key_value_heads: optional(size(1), 8),
  max_position_embeddings: size(4096 * 32),
  rms_norm_eps: positive(1e-6),
  sliding_window: optional(size(1), 4096),
};

/** Mistral (Jiang et al. 2023): Llama whose layers all look at a window. */
export const mistral = family(
  { architecture: "MistralForCausalLM", ...llamaCheckpoint },
  { settings },
  (values) => ({
    description: {
      ...llamaDescription(values, values.rms_norm_eps),
      ...alike(values.num_hidden_layers, llamaRotation(values), values.sliding_window),
    },
    contextLength: values.max_position_embeddings,
  }),
);
