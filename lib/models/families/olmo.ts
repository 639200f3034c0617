import { expected } from "../../errors.js";
import {
  headWidth,
  type LlamaValues,
  llamaCheckpoint,
  llamaDescription,
  llamaNames,
  llamaRotation,
  llamaSettings,
} from "./llama.js";
import { alike, ofTypes, rotaryOfType, rotation } from "./rotary.js";
import { family, flag, type LayerType, layerTypes, optional, positive, size, token } from "./settings.js";

const { head_dim: _, ...shared } = {
  ...llamaSettings,
  vocab_size: size(50304),
  pad_token_id: token(1),
  attention_bias: flag(false),
};

/** OLMo (Groeneveld et al. 2024): Llama with layer norms that have no parameters; queries, keys and values may be bounded. */
export const olmo = family(
  { architecture: "OlmoForCausalLM", ...llamaCheckpoint },
  { settings: { ...shared, clip_qkv: optional(positive(1)) } },
  (own) => {
    const values = { ...own, head_dim: null };
    return {
      description: {
        ...llamaDescription(values, 1e-5),
        ...alike(values.num_hidden_layers, llamaRotation(values)),
        norm: { kind: "layer", epsilon: 1e-5, weight: false, bias: false, weightFromOne: false },
        queryKeyValueBound: values.clip_qkv ?? 0,
      },
      contextLength: values.max_position_embeddings,
    };
  },
);

const { attentionNorm: __, mlpNorm: ___, ...namesWithoutNorms } = llamaNames;

/** OLMo 2 (OLMo Team 2024): norms of what attention and MLP add, and of all heads' queries and keys together. */
function description2(values: LlamaValues & { rms_norm_eps: number; attention_bias: boolean }) {
  const description = llamaDescription(values, values.rms_norm_eps);
  const { head } = description.names;
  return {
    ...description,
    queryKeyNorm: "projection" as const,
    names: {
      ...namesWithoutNorms,
      attentionPostNorm: "post_attention_layernorm",
      mlpPostNorm: "post_feedforward_layernorm",
      queryNorm: "self_attn.q_norm",
      keyNorm: "self_attn.k_norm",
      ...(head === undefined ? {} : { head }),
    },
  };
}

const settings2 = { ...shared, rms_norm_eps: positive(1e-5) };

export const olmo2 = family(
  { architecture: "Olmo2ForCausalLM", ...llamaCheckpoint },
  { settings: settings2 },
  (own) => {
    const values = { ...own, head_dim: null };
    return {
      description: { ...description2(values), ...alike(values.num_hidden_layers, llamaRotation(values)) },
      contextLength: values.max_position_embeddings,
    };
  },
);

const base3 = 500_000;
const settings3 = {
  ...settings2,
  rope_theta: positive(base3),
  sliding_window: optional(size(1), 4096),
  layer_types: layerTypes,
};

/** OLMo 3 (2025): three layers with a window to one without, whose rotation alone may be scaled. */
export const olmo3 = family(
  { architecture: "Olmo3ForCausalLM", ...llamaCheckpoint },
  { settings: settings3 },
  (own) => {
    const values = { ...own, head_dim: null };
    const count = values.num_hidden_layers;
    const types = Array.from(
      { length: count },
      (_, i): LayerType => ((i + 1) % 4 === 0 ? "full_attention" : "sliding_attention"),
    );
    const rotationOf = (type: LayerType) =>
      rotation({ ...parameters3(values, type), headWidth: headWidth(values) });
    return {
      description: {
        ...description2(values),
        ...ofTypes(count, values.layer_types ?? types, values.sliding_window, rotationOf),
      },
      contextLength: values.max_position_embeddings,
    };
  },
);

/** θ of both types, of which transformers reads one alone at the top. */
function parameters3(values: LlamaValues, type: LayerType) {
  if (values.rope_theta !== base3)
    throw expected(
      `${base3}, or θ in rope_parameters of each type,`,
      "config.rope_theta",
      values.rope_theta,
      "range",
    );
  return rotaryOfType(values, type, base3);
}
