import * as z from "zod";
import { section } from "../../options/index.js";

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
export type Transformer = z.output<typeof transformer>;
export type Attention = z.output<typeof attention>;
export type Norm = z.output<typeof norm>;
export type Windows = z.output<typeof windows>;

/** What `olmoCoreConfiguration` makes of a step's config.json. */
export const olmoCoreSchema = z.looseObject({ model: transformer, context_length: size.default(4096) });
