import * as z from "zod";
import { CriticalSharpnessError } from "../../errors.js";
import { explain, section } from "../../options/index.js";
import type { Activation } from "../../torch/index.js";
import { type LlamaValues, llamaDescription } from "./llama.js";
import { type Layers, rotation } from "./rotary.js";
import type { Family } from "./settings.js";

/** What is not said, and says nothing of a loss: names of classes, kernels, precisions, first weights. */
const silent = { _CLASS_: z.string().optional(), dtype: z.string().nullish() };
/** What may stand there as long as it is off. */
const off = z.union([z.null(), z.literal(false)], { error: "null or false" }).optional();
/** Of the first version, how it was trained. */
const unread = z.unknown().optional();
const size = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

const norm = section({
  ...silent,
  name: z.enum(["default", "rms", "cute_rms", "fused_rms"]).default("default"),
  eps: z.number().gt(0).nullish(),
  elementwise_affine: z.literal(true).nullish(),
  bias: z.boolean().nullish(),
  full_precision: z.boolean().nullish(),
});

const rope = section({
  ...silent,
  name: z.literal("default").default("default"),
  theta: z.number().gt(0).default(500_000),
  full_precision: z.boolean().optional(),
  no_global_rope: off,
  scaling: off,
  partial_rotary_factor: z.literal(1).optional(),
});

const windows = section({
  ...silent,
  pattern: z.array(z.union([size, z.literal(-1)], { error: "a window or -1" })).min(1),
  force_full_attention_on_first_layer: z.boolean().default(true),
  force_full_attention_on_last_layer: z.boolean().default(true),
});

const attention = section({
  ...silent,
  name: z.literal("default").default("default"),
  n_heads: size.default(16),
  n_kv_heads: size.nullish(),
  head_dim: size.nullish(),
  bias: z.boolean().nullish(),
  gate: off,
  rope: rope.nullish(),
  clip_qkv: z.number().gt(0).nullish(),
  qk_norm: norm.nullish(),
  dropout: z.number().nullish(),
  use_flash: z.boolean().nullish(),
  backend: z.string().nullish(),
  sliding_window: windows.nullish(),
  use_head_qk_norm: z.boolean().nullish(),
  type: z.literal("attention").optional(),
});

const block = section({
  ...silent,
  name: z.enum(["default", "reordered_norm"]).default("default"),
  sequence_mixer: attention.optional(),
  attention: attention.nullish(),
  layer_norm: norm,
  feed_forward: section({
    ...silent,
    hidden_size: size,
    name: z.literal("default").default("default"),
    bias: z.boolean().nullish(),
    activation: z.enum(["silu", "gelu_tanh"]).default("silu"),
  }),
  feed_forward_moe: off,
  dropout: z.number().nullish(),
  attention_residual_alpha: off,
  feed_forward_residual_alpha: off,
}).refine((one) => (one.sequence_mixer ?? one.attention) != null, "a sequence_mixer");

/** A TransformerConfig, as a step's config.json has it under "model". */
const transformer = section({
  ...silent,
  name: z.literal("default").default("default"),
  d_model: size,
  vocab_size: size,
  n_layers: size.max(10_000),
  block,
  lm_head: section({
    ...silent,
    name: z.literal("default").default("default"),
    layer_norm: norm.nullish(),
    bias: z.boolean().nullish(),
    loss_implementation: z.string().optional(),
  }),
  embedding_norm: off,
  init_method: z.string().optional(),
  init_seed: z.int().optional(),
  init_std: z.number().min(0).default(0.02),
  embedding_init_std: z.number().nullish(),
  freeze_params: z.array(z.string()).max(0).nullish(),
  ...{ compile: unread, dp_config: unread, tp_config: unread, float8_config: unread },
  block_pattern: off,
  block_overrides: off,
  embed_scale: z.number().gt(0).nullish(),
  tie_word_embeddings: z.boolean().default(false),
});
type Transformer = z.output<typeof transformer>;

const schema = z.looseObject({ model: transformer, context_length: size.default(4096) });

/** OLMo-core's own configuration of a model, as what configureModel takes; undefined: another program's. */
export function olmoCoreConfiguration(config: unknown): Record<string, unknown> | undefined {
  const { model_type, model, train_module, dataset } = (config ?? {}) as Record<string, never>;
  const { d_model, block } = (model ?? {}) as { d_model?: unknown; block?: unknown };
  if (model_type !== undefined || typeof d_model !== "number" || block === undefined) return undefined;
  const { max_sequence_length } = (train_module ?? {}) as { max_sequence_length?: unknown };
  const { sequence_length } = (dataset ?? {}) as { sequence_length?: unknown };
  const length = max_sequence_length ?? sequence_length;
  return { model_type: "olmo_core", model, ...(typeof length === "number" && { context_length: length }) };
}

const names = {
  embedding: "embeddings",
  layers: "blocks.",
  finalNorm: "lm_head.norm",
  query: "attention.w_q",
  key: "attention.w_k",
  value: "attention.w_v",
  attentionOutput: "attention.w_out",
  gate: "feed_forward.w1",
  up: "feed_forward.w3",
  down: "feed_forward.w2",
  head: "lm_head.w_out",
};
const { head: _, ...namesWithoutHead } = names;

/**
 * A model as OLMo-core (Allen Institute for AI, 2024–) trains it: OLMo 2's and 3's blocks, whose norms stand behind, or Llama's. Its
 * checkpoints keep its own names, and so do the moments beside them.
 */
export const olmoCore: Family = {
  architecture: "Transformer",
  prefix: "",
  // Its states go by names, never by this order.
  registration: "as-computed",
  head: `${names.head}.weight`,
  untied: ({ model, ...rest }) => ({ ...rest, model: { ...(model as object), tie_word_embeddings: false } }),
  configure(raw) {
    const parsed = schema.safeParse(raw);
    if (!parsed.success) throw refused(explain(parsed.error, raw));
    const { model, context_length: contextLength } = parsed.data;
    const { block, lm_head } = model;
    const mixer = (block.sequence_mixer ?? block.attention) as z.output<typeof attention>;
    const normOfAll = oneNorm([block.layer_norm, lm_head.layer_norm, mixer.qk_norm]);
    const { bias, description } = inItsWords(() => base(model, mixer, normOfAll));
    if (model.tie_word_embeddings && (lm_head.bias ?? true))
      throw refused("Expected lm_head.bias false with tie_word_embeddings but received another");
    if (mixer.clip_qkv && mixer.qk_norm)
      throw refused("Expected clip_qkv or qk_norm for the attention but received both");
    const reordered = block.name === "reordered_norm";
    return {
      values: raw,
      contextLength,
      description: {
        ...description,
        ...layersOf(model, mixer, contextLength),
        norm: normOfAll,
        queryKeyNorm: mixer.use_head_qk_norm ? "head" : "projection",
        queryKeyValueBias: bias.attention,
        attentionOutputBias: bias.attention,
        mlpBias: bias.mlp,
        headBias: lm_head.bias ?? true,
        activation: block.feed_forward.activation as Activation,
        embeddingScale: model.embed_scale ?? 1,
        queryKeyValueBound: mixer.clip_qkv ?? 0,
        names: {
          ...namesWithoutHead,
          ...(reordered
            ? { attentionPostNorm: "attention_norm", mlpPostNorm: "feed_forward_norm" }
            : { attentionNorm: "attention_norm", mlpNorm: "feed_forward_norm" }),
          ...(mixer.qk_norm && { queryNorm: "attention.q_norm", keyNorm: "attention.k_norm" }),
          ...(model.tie_word_embeddings ? {} : { head: names.head }),
        },
      },
    };
  },
};

const remedy =
  "OLMo-core's convert_checkpoint_to_hf.py writes a Hugging Face folder, and any model may be exported (docs/any-model.md)";

function refused(message: string): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_MODEL_FILE", `${message}: ${remedy}`);
}

/** The errors of Llama's description are of keys that are not in such a file. */
function inItsWords<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw refused((error as Error).message.replace("config.", "the model's "));
  }
}

/** What Llama's description has of it. */
function base(model: Transformer, mixer: z.output<typeof attention>, { epsilon }: { epsilon: number }) {
  const values: LlamaValues = {
    vocab_size: model.vocab_size,
    hidden_size: model.d_model,
    intermediate_size: model.block.feed_forward.hidden_size,
    num_hidden_layers: model.n_layers,
    num_attention_heads: mixer.n_heads,
    num_key_value_heads: mixer.n_kv_heads ?? null,
    head_dim: mixer.head_dim ?? null,
    hidden_act: "silu",
    max_position_embeddings: 1,
    initializer_range: model.init_std,
    tie_word_embeddings: model.tie_word_embeddings,
    pad_token_id: null,
    rope_theta: 1,
    rope_scaling: null,
    rope_parameters: null,
  };
  const bias = { attention: mixer.bias ?? true, mlp: model.block.feed_forward.bias ?? true };
  return { bias, description: llamaDescription(values, epsilon) };
}

/** The norm that all are. @throws CriticalSharpnessError where they differ */
function oneNorm(norms: readonly (z.output<typeof norm> | null | undefined)[]) {
  const [first, ...others] = norms.flatMap((one) => (one ? [descriptionOf(one)] : []));
  const other = others.find((one) => JSON.stringify(one) !== JSON.stringify(first));
  if (!first || !norms[1] || other)
    throw refused("Expected norms that are alike for layers, queries, keys and head but received others");
  return first;
}

function descriptionOf({ name, eps, bias }: z.output<typeof norm>) {
  const kind = name === "default" ? ("layer" as const) : ("rms" as const);
  if (kind === "rms" && (bias ?? true))
    throw refused("Expected bias false for an RMS norm but received true");
  return { kind, epsilon: eps ?? 1e-5, weight: true, bias: bias ?? true, weightFromOne: false };
}

/** Layers that attend alike, or to windows by a pattern. */
function layersOf(model: Transformer, mixer: z.output<typeof attention>, contextLength: number): Layers {
  const count = model.n_layers;
  const headWidth = mixer.head_dim ?? model.d_model / mixer.n_heads;
  const turning = mixer.rope
    ? rotation({
        ...{ parameters: null, subject: "config.model.block.sequence_mixer.rope" },
        ...{ base: mixer.rope.theta, headWidth, contextLength },
      })
    : { frequencies: [], rotaryScale: 1 };
  const each = Array.from({ length: count }, (_, i) => windowOf(mixer.sliding_window, i, count));
  const kinds = [...new Set(each)];
  return {
    attentionKinds: kinds.map((window) => ({ window, ...turning })),
    layers: each.map((window) => kinds.indexOf(window)),
  };
}

/** 0: all tokens. Where the first layer is full by itself, the pattern begins at the second. */
function windowOf(
  sliding: z.output<typeof windows> | null | undefined,
  layer: number,
  count: number,
): number {
  if (!sliding) return 0;
  const first = sliding.force_full_attention_on_first_layer;
  if ((first && layer === 0) || (sliding.force_full_attention_on_last_layer && layer === count - 1)) return 0;
  const place = layer - Number(first);
  return Math.max(0, sliding.pattern[place % sliding.pattern.length] as number);
}
