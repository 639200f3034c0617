import { expected } from "../../errors.js";
import { checkNumber } from "../../options/index.js";
import { llamaBiases, llamaCheckpoint, llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { type Layers, ofTypes, usedWindow } from "./rotary.js";
import {
  family,
  flag,
  type LayerType,
  layerCount,
  layerTypes,
  optional,
  positive,
  type Setting,
  size,
  token,
} from "./settings.js";

/** Of each layer whether its positions are rotated: transformers' name says the contrary of its 1. null: by the interval. */
const rotatedLayers: Setting<readonly boolean[] | null> = {
  fallback: null,
  read(value, subject) {
    if (value === null) return null;
    if (!Array.isArray(value)) throw expected("an array of 0 and 1", subject, value);
    const bounds = { minimum: 0, maximum: 1, integer: true };
    return Array.from(value, (one, i) => checkNumber(one, `${subject}[${i}]`, bounds) === 1);
  },
};

const settings = {
  ...llamaSettings,
  vocab_size: size(128_256),
  hidden_size: size(2048),
  num_hidden_layers: layerCount(36),
  num_attention_heads: size(16),
  num_key_value_heads: optional(size(1), 4),
  max_position_embeddings: size(32768),
  rms_norm_eps: positive(1e-6),
  tie_word_embeddings: flag(true),
  pad_token_id: token(128_004),
  rope_theta: positive(2_000_000),
  ...llamaBiases,
  use_sliding_window: flag(false),
  sliding_window: optional(size(1)),
  layer_types: layerTypes,
  no_rope_layers: rotatedLayers,
  no_rope_layer_interval: size(4),
};

/** SmolLM3 (Bakouch et al. 2025): Llama with layers that know no positions (Kazemnejad et al. 2023), which may have a window. */
export const smollm3 = family(
  { architecture: "SmolLM3ForCausalLM", ...llamaCheckpoint },
  // Published configurations have max_window_layers beside the keys that are read.
  { settings, ignored: /^max_window_layers$/ },
  (values) => {
    const count = values.num_hidden_layers;
    const interval = values.no_rope_layer_interval;
    const usual = Array.from({ length: count }, (_, i) => (i + 1) % interval !== 0);
    const rotated = values.no_rope_layers ?? usual;
    if (rotated.length < count)
      throw expected(`${count} numbers, one a layer,`, "config.no_rope_layers", rotated.length, "range");
    const window = usedWindow(values);
    const types = usual.map(
      (_, i): LayerType => (window !== null && !rotated[i] ? "sliding_attention" : "full_attention"),
    );
    const rotation = llamaRotation(values);
    const layers = ofTypes(count, values.layer_types ?? types, window, () => rotation);
    return {
      description: {
        ...llamaDescription(values, values.rms_norm_eps),
        ...withoutPositions(layers, (layer) => !rotated[layer]),
      },
      contextLength: values.max_position_embeddings,
    };
  },
);

/** The same layers, those chosen of a kind that rotates nothing. */
function withoutPositions({ attentionKinds, layers }: Layers, chosen: (layer: number) => boolean): Layers {
  const still = attentionKinds.map(({ window }) => ({ window, frequencies: [], rotaryScale: 1 }));
  const both = [...attentionKinds, ...still];
  const own = layers.map((kind, i) => (chosen(i) ? attentionKinds.length + kind : kind));
  const used = both.filter((_, kind) => own.includes(kind));
  return {
    attentionKinds: used,
    layers: own.map((kind) => used.indexOf(both[kind] as (typeof both)[number])),
  };
}
