import { expected } from "../../errors.js";
import type { NativeDecoderDescription } from "../../torch/index.js";
import { llamaBiases, llamaCheckpoint, llamaDescription, llamaRotation, llamaSettings } from "./llama.js";
import { alike, usedWindow } from "./rotary.js";
import {
  family,
  flag,
  layerCount,
  layerNumbers,
  nonnegative,
  optional,
  type Part,
  positive,
  size,
  token,
} from "./settings.js";

// Mixtures of experts (Shazeer et al. 2017): the decoders of Mistral, OLMo and Qwen with a router and many MLPs in place of one.

type Mixture = NonNullable<NativeDecoderDescription["mixture"]>;

/** What the matrices of experts are called in published checkpoints; transformers itself keeps those of a layer in two tensors. */
const expertNames = {
  router: "mlp.gate",
  experts: "mlp.experts.",
  expertGate: "gate_proj",
  expertUp: "up_proj",
  expertDown: "down_proj",
};
const mixtralNames = {
  router: "block_sparse_moe.gate",
  experts: "block_sparse_moe.experts.",
  expertGate: "w1",
  expertUp: "w3",
  expertDown: "w2",
};

/** Of a checkpoint that transformers saved as it computes (`save_original_format=False`): all experts of a layer are in one tensor. */
const partsBy =
  (names: typeof expertNames) =>
  (name: string, shape: readonly number[]): Part[] | undefined => {
    const [, layer, kind] = /^(.*\.)mlp\.(experts\.(?:gate_up|down)_proj|gate\.weight)$/.exec(name) ?? [];
    if (layer === undefined) return undefined;
    if (kind === "gate.weight") return [{ name: `${layer}${names.router}.weight`, shape }];
    const [count = 0, rows = 0, columns = 0] = shape;
    const matrices = kind === "experts.down_proj" ? [names.expertDown] : [names.expertGate, names.expertUp];
    if (shape.length !== 3 || rows % matrices.length !== 0) return undefined;
    return Array.from({ length: count }, (_, expert) =>
      matrices.map((matrix) => ({
        name: `${layer}${names.experts}${expert}.${matrix}.weight`,
        shape: [rows / matrices.length, columns],
      })),
    ).flat();
  };

/** The auxiliary loss is off unless a configuration asks for what it is made of, as in transformers. */
const balanceSettings = (coefficient: number) => ({
  output_router_logits: flag(false),
  router_aux_loss_coef: nonnegative(coefficient),
});

interface Chosen {
  num_experts_per_tok: number;
  output_router_logits: boolean;
  router_aux_loss_coef: number;
}

/** @throws RangeError naming the key, unless a token has as many experts as it is to choose. */
function mixtureOf(values: Chosen, mixture: Omit<Mixture, "chosen" | "balance">): { mixture?: Mixture } {
  const { num_experts_per_tok: chosen } = values;
  if (chosen > mixture.experts)
    throw expected(`at most ${mixture.experts}, all experts,`, "config.num_experts_per_tok", chosen, "range");
  const balance = values.output_router_logits ? values.router_aux_loss_coef : 0;
  return mixture.layers.length > 0 ? { mixture: { chosen, balance, ...mixture } } : {};
}

const allLayers = ({ num_hidden_layers: count }: { num_hidden_layers: number }) =>
  Array.from({ length: count }, (_, layer) => layer);

const mixtralSettings = {
  ...llamaSettings,
  intermediate_size: size(14336),
  num_hidden_layers: layerCount(32),
  num_key_value_heads: optional(size(1), 8),
  max_position_embeddings: size(4096 * 32),
  rope_theta: positive(1_000_000),
  rms_norm_eps: positive(1e-5),
  sliding_window: optional(size(1)),
  num_experts_per_tok: size(2),
  num_local_experts: size(8),
  ...balanceSettings(0.001),
};

/** Mixtral (Jiang et al. 2024): Mistral with a mixture in every layer. */
export const mixtral = family(
  { architecture: "MixtralForCausalLM", ...llamaCheckpoint, parts: partsBy(mixtralNames) },
  // The noise of routers is training's.
  { settings: mixtralSettings, ignored: /^router_jitter_noise$/ },
  (values) => {
    const description = llamaDescription(values, values.rms_norm_eps);
    return {
      description: {
        ...description,
        ...alike(values.num_hidden_layers, llamaRotation(values), values.sliding_window),
        ...mixtureOf(values, {
          layers: allLayers(values),
          experts: values.num_local_experts,
          innerWidth: values.intermediate_size,
          normalized: true,
        }),
        names: { ...description.names, ...mixtralNames },
      },
      contextLength: values.max_position_embeddings,
    };
  },
);

const queryKeyNorms = { queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm" };
const { head_dim: _, ...llamas } = llamaSettings;
const { attention_bias } = llamaBiases;

const olmoeSettings = {
  ...llamas,
  vocab_size: size(50304),
  hidden_size: size(2048),
  intermediate_size: size(2048),
  num_hidden_layers: layerCount(16),
  num_attention_heads: size(16),
  max_position_embeddings: size(4096),
  pad_token_id: token(1),
  rms_norm_eps: positive(1e-5),
  attention_bias,
  clip_qkv: optional(positive(1)),
  num_experts_per_tok: size(8),
  num_experts: size(64),
  norm_topk_prob: flag(false),
  ...balanceSettings(0.01),
};

/** OLMoE (Muennighoff et al. 2024): OLMo's bounds, OLMo 2's norms of all heads' queries and keys together. */
export const olmoe = family(
  { architecture: "OlmoeForCausalLM", ...llamaCheckpoint, parts: partsBy(expertNames) },
  { settings: olmoeSettings },
  (own) => {
    const values = { ...own, head_dim: null };
    const description = llamaDescription(values, values.rms_norm_eps);
    return {
      description: {
        ...description,
        ...alike(values.num_hidden_layers, llamaRotation(values)),
        queryKeyNorm: "projection",
        queryKeyValueBound: values.clip_qkv ?? 0,
        ...mixtureOf(values, {
          layers: allLayers(values),
          experts: values.num_experts,
          innerWidth: values.intermediate_size,
          normalized: values.norm_topk_prob,
        }),
        names: { ...description.names, ...queryKeyNorms, ...expertNames },
      },
      contextLength: values.max_position_embeddings,
    };
  },
);

const qwen3Settings = {
  ...llamaSettings,
  vocab_size: size(151936),
  hidden_size: size(2048),
  intermediate_size: size(6144),
  num_hidden_layers: layerCount(24),
  num_key_value_heads: optional(size(1), 4),
  max_position_embeddings: size(32768),
  rms_norm_eps: positive(1e-6),
  attention_bias,
  use_sliding_window: flag(false),
  sliding_window: optional(size(1), 4096),
  decoder_sparse_step: size(1),
  mlp_only_layers: layerNumbers,
  moe_intermediate_size: size(768),
  num_experts_per_tok: size(8),
  num_experts: optional(size(1)),
  // transformers 5 writes num_experts by this name.
  num_local_experts: optional(size(1)),
  norm_topk_prob: flag(false),
  ...balanceSettings(0.001),
};

/** Qwen3's mixtures (Yang et al. 2025): in every n-th layer but those that are told to have an MLP. A window is all layers'. */
export const qwen3Moe = family(
  { architecture: "Qwen3MoeForCausalLM", ...llamaCheckpoint, parts: partsBy(expertNames) },
  { settings: qwen3Settings, ignored: /^max_window_layers$/ },
  (values) => {
    const { num_experts, num_local_experts, decoder_sparse_step: step, mlp_only_layers: dense } = values;
    if (num_experts !== null && num_local_experts !== null && num_experts !== num_local_experts)
      throw expected(`num_experts (${num_experts})`, "config.num_local_experts", num_local_experts, "range");
    const description = llamaDescription(values, values.rms_norm_eps);
    return {
      description: {
        ...description,
        ...alike(values.num_hidden_layers, llamaRotation(values), usedWindow(values)),
        ...mixtureOf(values, {
          layers: allLayers(values).filter((layer) => (layer + 1) % step === 0 && !dense.includes(layer)),
          experts: num_experts ?? num_local_experts ?? 128,
          innerWidth: values.moe_intermediate_size,
          normalized: values.norm_topk_prob,
        }),
        names: { ...description.names, ...queryKeyNorms, ...expertNames },
      },
      contextLength: values.max_position_embeddings,
    };
  },
);
