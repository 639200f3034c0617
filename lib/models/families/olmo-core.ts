import { CriticalSharpnessError } from "../../errors.js";
import { explain } from "../../options/index.js";
import type { Activation } from "../../torch/index.js";
import { type LlamaValues, llamaDescription } from "./llama.js";
import {
  type Attention,
  type Norm,
  olmoCoreSchema,
  type Transformer,
  type Windows,
} from "./olmo-core-schema.js";
import { type Layers, rotation } from "./rotary.js";
import type { Family } from "./settings.js";

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
    const parsed = olmoCoreSchema.safeParse(raw);
    if (!parsed.success) throw refused(explain(parsed.error, raw));
    const { model, context_length: contextLength } = parsed.data;
    const { block, lm_head } = model;
    const mixer = (block.sequence_mixer ?? block.attention) as Attention;
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
function base(model: Transformer, mixer: Attention, { epsilon }: { epsilon: number }) {
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
function oneNorm(norms: readonly (Norm | null | undefined)[]) {
  const [first, ...others] = norms.flatMap((one) => (one ? [descriptionOf(one)] : []));
  const other = others.find((one) => JSON.stringify(one) !== JSON.stringify(first));
  if (!first || !norms[1] || other)
    throw refused("Expected norms that are alike for layers, queries, keys and head but received others");
  return first;
}

function descriptionOf({ name, eps, bias }: Norm) {
  const kind = name === "default" ? ("layer" as const) : ("rms" as const);
  if (kind === "rms" && (bias ?? true))
    throw refused("Expected bias false for an RMS norm but received true");
  return { kind, epsilon: eps ?? 1e-5, weight: true, bias: bias ?? true, weightFromOne: false };
}

/** Layers that attend alike, or to windows by a pattern. */
function layersOf(model: Transformer, mixer: Attention, contextLength: number): Layers {
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
function windowOf(sliding: Windows | null | undefined, layer: number, count: number): number {
  if (!sliding) return 0;
  const first = sliding.force_full_attention_on_first_layer;
  if ((first && layer === 0) || (sliding.force_full_attention_on_last_layer && layer === count - 1)) return 0;
  const place = layer - Number(first);
  return Math.max(0, sliding.pattern[place % sliding.pattern.length] as number);
}
