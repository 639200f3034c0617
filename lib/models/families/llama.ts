import { expected } from "../../errors.js";
import { checkNumber } from "../../options/index.js";
import type { NativeDecoderDescription } from "../../torch/index.js";
import { alike, type Rotation, rotation } from "./rotary.js";
import {
  activation,
  activations,
  family,
  flag,
  layerCount,
  nonnegative,
  optional,
  positive,
  record,
  size,
  token,
  type ValuesOf,
} from "./settings.js";

/** What Llama's descendants have in common, with its values. */
export const llamaSettings = {
  vocab_size: size(32000),
  hidden_size: size(4096),
  intermediate_size: size(11008),
  num_hidden_layers: layerCount(32),
  num_attention_heads: size(32),
  num_key_value_heads: optional(size(1)),
  head_dim: optional(size(1)),
  hidden_act: activation("silu"),
  max_position_embeddings: size(2048),
  initializer_range: nonnegative(0.02),
  tie_word_embeddings: flag(false),
  pad_token_id: token(null),
  rope_theta: positive(10000),
  rope_scaling: record,
  rope_parameters: record,
};
export type LlamaValues = ValuesOf<typeof llamaSettings>;

/** Those of the family itself and of some descendants: of all four projections of attention, and of the MLP's. */
export const llamaBiases = { attention_bias: flag(false), mlp_bias: flag(false) };

export const llamaNames = {
  embedding: "model.embed_tokens",
  layers: "model.layers.",
  finalNorm: "model.norm",
  attentionNorm: "input_layernorm",
  query: "self_attn.q_proj",
  key: "self_attn.k_proj",
  value: "self_attn.v_proj",
  attentionOutput: "self_attn.o_proj",
  mlpNorm: "post_attention_layernorm",
  gate: "mlp.gate_proj",
  up: "mlp.up_proj",
  down: "mlp.down_proj",
};
export const llamaCheckpoint = { prefix: "model.", buffers: /\.rotary_emb\.inv_freq$/ };

/** Each has a frequency for every two channels: a mistaken number must not fill the memory. */
const widestHead = 1 << 16;

/** Width of a head. @throws RangeError naming the key, if the heads do not divide the width. */
export function headWidth(
  values: Pick<LlamaValues, "hidden_size" | "num_attention_heads"> & { head_dim?: number | null },
) {
  const { hidden_size: width, num_attention_heads: heads, head_dim } = values;
  if (!head_dim && width % heads !== 0)
    throw expected(`a divisor of hidden_size (${width})`, "config.num_attention_heads", heads, "range");
  return checkNumber(head_dim ?? width / heads, "config.head_dim", { minimum: 1, maximum: widestHead });
}

/** Heads of keys and values. @throws RangeError naming the key, unless they divide the queries'. */
export function keyValueHeads({ num_attention_heads: heads, num_key_value_heads }: LlamaValues): number {
  const few = num_key_value_heads ?? heads;
  if (heads % few !== 0)
    throw expected(`a divisor of num_attention_heads (${heads})`, "config.num_key_value_heads", few, "range");
  return few;
}

/**
 * The token whose embedding transformers gives no gradient (`padding_idx`), −1 for none. A negative one counts from the end, as
 * PyTorch has it; one beyond the vocabulary is no token's.
 */
function paddingToken({ pad_token_id: pad, vocab_size: count }: LlamaValues): number {
  const id = pad === null ? -1 : pad < 0 ? count + pad : pad;
  return id < count ? Math.max(id, -1) : -1;
}

/** The rotation of all layers. As in transformers, an empty `rope_scaling` is none. */
export function llamaRotation(values: LlamaValues, fraction?: number, roundsUp = false): Rotation {
  const { rope_scaling, rope_parameters } = values;
  const scaled = rope_scaling !== null && Object.keys(rope_scaling).length > 0;
  return rotation({
    parameters: scaled ? rope_scaling : rope_parameters,
    subject: scaled ? "config.rope_scaling" : "config.rope_parameters",
    base: values.rope_theta,
    headWidth: headWidth(values),
    contextLength: values.max_position_embeddings,
    fraction,
    roundsUp,
  });
}

/** Llama (Touvron et al. 2023) without its layers' attention; descendants change what is theirs. */
export function llamaDescription(
  values: LlamaValues & Partial<ValuesOf<typeof llamaBiases>>,
  epsilon: number,
): Omit<NativeDecoderDescription, "attentionKinds" | "layers"> {
  const width = headWidth(values);
  return {
    kind: "decoder",
    vocabularySize: values.vocab_size,
    width: values.hidden_size,
    heads: values.num_attention_heads,
    keyValueHeads: keyValueHeads(values),
    headWidth: width,
    innerWidth: values.intermediate_size,
    positions: 0,
    norm: { kind: "rms", epsilon, weight: true, bias: false, weightFromOne: false },
    queryKeyNorm: "head",
    parallel: false,
    queryKeyValueByHead: false,
    queryKeyValueBias: values.attention_bias ?? false,
    attentionOutputBias: values.attention_bias ?? false,
    mlpBias: values.mlp_bias ?? false,
    headBias: false,
    storage: "out_in",
    activation: activations[values.hidden_act],
    attentionScale: 1 / Math.sqrt(width),
    attentionCap: 0,
    logitCap: 0,
    embeddingScale: 1,
    residualScale: 1,
    logitScale: 1,
    queryKeyValueBound: 0,
    initialDeviation: values.initializer_range,
    paddingToken: paddingToken(values),
    names: { ...llamaNames, ...(values.tie_word_embeddings ? {} : { head: "lm_head" }) },
  };
}

const settings = { ...llamaSettings, ...llamaBiases, rms_norm_eps: positive(1e-6) };

export const llama = family(
  { architecture: "LlamaForCausalLM", ...llamaCheckpoint },
  { settings },
  (values) => ({
    description: {
      ...llamaDescription(values, values.rms_norm_eps),
      ...alike(values.num_hidden_layers, llamaRotation(values)),
    },
    contextLength: values.max_position_embeddings,
  }),
);

const graniteSettings = {
  ...settings,
  embedding_multiplier: positive(1),
  attention_multiplier: positive(1),
  residual_multiplier: positive(1),
  logits_scaling: positive(1),
};

/** Granite (IBM 2024): Llama with multipliers in the manner of μP (Yang et al. 2022); logits are divided by theirs. */
export const granite = family(
  { architecture: "GraniteForCausalLM", ...llamaCheckpoint },
  { settings: graniteSettings },
  (values) => ({
    description: {
      ...llamaDescription(values, values.rms_norm_eps),
      ...alike(values.num_hidden_layers, llamaRotation(values)),
      embeddingScale: values.embedding_multiplier,
      attentionScale: values.attention_multiplier,
      residualScale: values.residual_multiplier,
      logitScale: 1 / values.logits_scaling,
    },
    contextLength: values.max_position_embeddings,
  }),
);

const mistralSettings = {
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
  { settings: mistralSettings },
  (values) => ({
    description: {
      ...llamaDescription(values, values.rms_norm_eps),
      ...alike(values.num_hidden_layers, llamaRotation(values), values.sliding_window),
    },
    contextLength: values.max_position_embeddings,
  }),
);
