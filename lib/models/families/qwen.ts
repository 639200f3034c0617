import { llamaCheckpoint, llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { ofTypes, usedWindow } from "./rotary.js";
import {
  family,
  flag,
  layerTypes,
  nonnegative,
  optional,
  positive,
  size,
  type ValuesOf,
} from "./settings.js";

const shared = {
  ...llamaSettings,
  vocab_size: size(151936),
  intermediate_size: size(22016),
  num_key_value_heads: optional(size(1), 32),
  max_position_embeddings: size(32768),
  rms_norm_eps: positive(1e-6),
  use_sliding_window: flag(false),
  sliding_window: optional(size(1), 4096),
  max_window_layers: nonnegative(28),
  layer_types: layerTypes,
};

/** Windows in the upper layers, where they are used at all. */
function layers(values: ValuesOf<typeof shared>) {
  const window = usedWindow(values);
  const count = values.num_hidden_layers;
  const types = Array.from({ length: count }, (_, i) =>
    window !== null && i >= values.max_window_layers
      ? ("sliding_attention" as const)
      : ("full_attention" as const),
  );
  const rotation = llamaRotation(values);
  return ofTypes(count, values.layer_types ?? types, window, () => rotation);
}

const { head_dim: _, ...settings2 } = shared;

/** Qwen2 (Yang et al. 2024): Llama with biases of queries, keys and values. */
export const qwen2 = family(
  { architecture: "Qwen2ForCausalLM", ...llamaCheckpoint },
  { settings: settings2 },
  (own) => {
    const values = { ...own, head_dim: null };
    return {
      description: {
        ...llamaDescription(values, values.rms_norm_eps),
        ...layers(values),
        queryKeyValueBias: true,
      },
      contextLength: values.max_position_embeddings,
    };
  },
);

const settings3 = { ...shared, head_dim: optional(size(1), 128), attention_bias: flag(false) };

/** Qwen3 (Yang et al. 2025): Llama with norms of each head's queries and keys. */
export const qwen3 = family(
  { architecture: "Qwen3ForCausalLM", ...llamaCheckpoint },
  { settings: settings3 },
  (values) => {
    const description = llamaDescription(values, values.rms_norm_eps);
    return {
      description: {
        ...description,
        ...layers(values),
        names: { ...description.names, queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm" },
      },
      contextLength: values.max_position_embeddings,
    };
  },
);
