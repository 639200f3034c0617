import { describe, expect, test } from "vitest";
import { configureModel } from "../../../lib/models/configuration.js";
import type { NativeDecoderDescription } from "../../../lib/torch/model-description.js";
import { configOf, names } from "./cases.js";

function messageOf(config: unknown): string {
  try {
    configureModel(config);
  } catch (error) {
    expect((error as { code: string }).code).toMatch(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/);
    return (error as Error).message;
  }
  return "no error";
}
const describeModel = (config: unknown) => configureModel(config).description as NativeDecoderDescription;
const rejects = (config: Record<string, unknown>, key: string) =>
  expect(messageOf(config), JSON.stringify(config)).toMatch(
    new RegExp(`^Expected .+ for .+ but received .+`.replace(".+ but", `(?=.*${key}).+ but`), "s"),
  );

describe.each(names)("%s", (name) => {
  const config = configOf(name);

  test("refuses keys that it does not know, and values that it does not have", () => {
    for (const key of ["rotary", "quantization_config", "n_shared_experts", "logit_scale", "constructor", ""])
      expect(messageOf({ ...config, [key]: 1 })).toContain(`but received "${key}"`);
    for (const key of ["vocab_size", "tie_word_embeddings", "initializer_range"])
      if (!(config.model_type === "gpt2" && key === "initializer_range"))
        rejects({ ...config, [key]: "x" }, `config.${key}`);
    const activation = Object.keys(config).find((key) =>
      /^(hidden_act|hidden_activation|activation_function)$/.test(key),
    );
    rejects({ ...config, [activation as string]: "quick_gelu" }, `config.${activation}`);
  });

  test("passes over keys that change no loss", () => {
    const harmless = {
      attention_dropout: 0.1,
      use_cache: false,
      transformers_version: "4.0",
      torch_dtype: "bfloat16",
    };
    const { config: kept, description } = configureModel({ ...config, ...harmless, bos_token_id: 7 });
    expect(description).toEqual(describeModel(config));
    if (config.model_type !== "gpt2") expect(kept).toEqual({ ...config, ...harmless, bos_token_id: 7 });
  });
});

const llama = { model_type: "llama", hidden_size: 32, num_attention_heads: 4, num_hidden_layers: 2 };

describe("rotary positions", () => {
  const llama3 = {
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  };
  const kinds = (config: Record<string, unknown>) => describeModel({ ...llama, ...config }).attentionKinds;

  test("are the same in old keys and in new", () => {
    const old = kinds({ rope_theta: 500, rope_scaling: { rope_type: "llama3", ...llama3 } });
    expect(kinds({ rope_theta: 500, rope_scaling: { type: "llama3", ...llama3 } })).toEqual(old);
    expect(kinds({ rope_parameters: { rope_theta: 500, rope_type: "llama3", ...llama3 } })).toEqual(old);
    expect(kinds({ rope_theta: 500 })).not.toEqual(old);
    expect(kinds({ rope_theta: 500 })).toEqual(kinds({ rope_parameters: { rope_theta: 500 } }));
    expect(kinds({})).toEqual(kinds({ rope_theta: 10000, rope_scaling: null }));
  });

  test("are θ^(−2i/d), all divided by a linear factor", () => {
    expect(kinds({ rope_theta: 16 })[0]?.frequencies).toEqual([1, 0.5, 0.25, 0.125]);
    const scaled = kinds({ rope_theta: 16, rope_scaling: { type: "linear", factor: 2 } });
    expect(scaled[0]?.frequencies).toEqual([0.5, 0.25, 0.125, 0.0625]);
  });

  test("refuse what they do not know", () => {
    const scaling = (rope_scaling: unknown) => ({ ...llama, rope_scaling });
    rejects(scaling({ rope_type: "dynamic", factor: 2 }), "config.rope_scaling.rope_type");
    rejects(scaling({ rope_type: "longrope" }), "config.rope_scaling.rope_type");
    rejects(scaling({ rope_type: "linear" }), "config.rope_scaling.factor");
    rejects(scaling({ rope_type: "linear", factor: 2, beta: 1 }), '"beta"|config.rope_scaling');
    rejects(scaling({ factor: 2 }), "config.rope_scaling");
    rejects(scaling({ rope_type: "yarn", factor: 2, truncate: false }), "config.rope_scaling.truncate");
    rejects(scaling([1]), "config.rope_scaling");
    rejects({ ...llama, rope_parameters: { partial_rotary_factor: 0.5 } }, "partial_rotary_factor");
    rejects({ ...llama, rope_parameters: { full_attention: {} } }, "config.rope_parameters");
    rejects({ ...llama, head_dim: 5 }, "config.rope_parameters");
    rejects({ ...configOf("olmo3"), rope_theta: 100 }, "config.rope_theta");
    for (const name of ["olmo3", "gemma3"]) {
      rejects({ ...configOf(name), rope_parameters: { rope_theta: 100 } }, "config.rope_parameters");
      rejects({ ...configOf(name), rope_scaling: { type: "linear", factor: 2 } }, "config.rope_scaling");
    }
  });
});

test("values that do not belong together are refused by name", () => {
  rejects({ ...llama, num_attention_heads: 5 }, "config.num_attention_heads");
  rejects({ ...llama, num_key_value_heads: 3 }, "config.num_key_value_heads");
  rejects({ ...llama, sliding_window: 4 }, "the model configuration");
  rejects({ ...configOf("mistral"), layer_types: ["full_attention"] }, "the model configuration");
  rejects({ ...configOf("qwen3"), layer_types: ["full_attention"] }, "config.layer_types");
  rejects(
    { ...configOf("qwen3"), layer_types: ["full_attention", "chunked_attention"] },
    "config.layer_types\\[1\\]",
  );
  rejects(
    { ...configOf("qwen3"), layer_types: ["full_attention", "sliding_attention"] },
    "config.sliding_window",
  );
  rejects({ ...configOf("gemma2"), use_bidirectional_attention: true }, "config.use_bidirectional_attention");
  rejects({ ...configOf("phi"), tie_word_embeddings: true }, "config.tie_word_embeddings");
  rejects({ ...configOf("olmo"), clip_qkv: 0 }, "config.clip_qkv");
  rejects({ ...configOf("smollm3"), no_rope_layers: [1, 0] }, "config.no_rope_layers");
  rejects({ ...configOf("smollm3"), no_rope_layers: [1, 0, 1, 1, 2] }, "config.no_rope_layers\\[4\\]");
  rejects({ ...configOf("smollm3-window"), use_sliding_window: false }, "config.sliding_window");
  rejects({ ...configOf("granite"), logits_scaling: 0 }, "config.logits_scaling");
  rejects({ ...configOf("gemma3"), attn_logit_softcapping: 50 }, "the model configuration");
  rejects({ ...configOf("mixtral"), num_experts_per_tok: 5 }, "config.num_experts_per_tok");
  rejects({ ...configOf("qwen3-moe"), num_experts: 5 }, "config.num_local_experts");
  rejects({ ...configOf("qwen3-moe"), mlp_only_layers: [0.5] }, "config.mlp_only_layers\\[0\\]");
  rejects({ ...configOf("gemma3"), use_bidirectional_attention: true }, "the model configuration");
});

describe("keys of published configurations", () => {
  const tiny = { ...llama, num_key_value_heads: 2, intermediate_size: 32, vocab_size: 32 };
  const description = describeModel(tiny);

  test("that change no loss are passed over at the values that change none", () => {
    const published = {
      ...{ is_llama_config: true, rope_interleaved: false, pretraining_tp: 1, use_mrope: false },
      ...{ "transformers.js_config": { kv_cache_dtype: { q4f16: "float16" } }, unsloth_fixed: true },
      ...{ unsloth_version: "2025.1.1", auto_map: { AutoModel: "x" }, temperature: 1, do_sample: false },
      ...{ max_sequence_length: 2048, use_reentrant_checkpointing: false, neftune_noise_alpha: 0 },
      ...{ max_length: 20, forced_eos_token_id: null, pruned_heads: {}, sliding_window: null, head_dim: 8 },
      ...{ tie_encoder_decoder: false, quantization_config: null, attn_implementation: "eager" },
    };
    expect(describeModel({ ...tiny, ...published })).toEqual(description);
    const { config } = configureModel({ ...tiny, ...published });
    expect(config).toEqual({ ...tiny, ...published });
    for (const [type, own] of [
      ["qwen2", { use_mrope: false, head_dim: 8 }],
      ["olmo", { pretraining_tp: 1, attention_bias: false }],
      ["olmo2", { pretraining_tp: 1, clip_qkv: null }],
      ["mistral", { attention_bias: false, mlp_bias: false }],
      ["gemma3_text", { attn_logit_softcapping: null, use_bidirectional_attention: false }],
      ["smollm3", { max_window_layers: 28, pretraining_tp: 2, layer_types: Array(2).fill("full_attention") }],
      ["mixtral", { router_jitter_noise: 0.1, router_aux_loss_coef: 0.02, output_router_logits: false }],
      ["olmoe", { clip_qkv: null, head_dim: 8, router_aux_loss_coef: 0.02, use_cache: true }],
      ["qwen3_moe", { max_window_layers: 48, mlp_only_layers: [], num_experts: 128, sliding_window: 7 }],
      ["granite", { attention_multiplier: 1, rope_scaling: null }],
      ["gemma2", { sliding_window_size: 4096, hidden_act: "gelu", cache_implementation: "hybrid" }],
      ["gpt_neox", { use_flash_attn: true, tokenizer_class: "GPTNeoXTokenizer" }],
    ] as const) {
      const num_key_value_heads = type === "gpt_neox" ? undefined : 2;
      const config = { ...tiny, num_key_value_heads, model_type: type };
      expect(describeModel({ ...config, ...own })).toEqual(describeModel(config));
    }
  });

  test("are refused at others", () => {
    const others = [
      { rope_interleaved: true },
      { use_mrope: true },
      { pruned_heads: { 0: [1] } },
      { sliding_window: 4 },
      { add_cross_attention: true },
      { quantization_config: { quant_method: "gptq" } },
      { attn_logit_softcapping: 50 },
      { layer_types: ["full_attention", "full_attention"] },
    ];
    for (const other of others) rejects({ ...tiny, ...other }, "the model configuration");
    rejects({ ...tiny, model_type: "qwen2", head_dim: 16 }, "the model configuration");
    expect(messageOf({ ...tiny, quantization_config: {} })).toContain("dequantize()");
  });

  test("of rotary positions: an empty scaling is none", () => {
    const parameters = { rope_type: "default", rope_theta: 777 };
    const kinds = (config: object) => describeModel({ ...tiny, ...config }).attentionKinds;
    const own = kinds({ rope_parameters: parameters });
    for (const rope_scaling of [{}, null])
      expect(kinds({ rope_scaling, rope_parameters: parameters })).toEqual(own);
    expect(kinds({ rope_scaling: {}, rope_theta: 777 })).toEqual(own);
    expect(kinds({ rope_scaling: {}, rope_parameters: {}, rope_theta: 777 })).toEqual(own);
    expect(
      kinds({ rope_scaling: { rope_type: "default" }, rope_parameters: parameters, rope_theta: 50 }),
    ).toEqual(kinds({ rope_theta: 50 }));
  });

  test("of padding: the token whose embedding has no gradient", () => {
    const padding = (config: object) => describeModel({ ...tiny, ...config }).paddingToken;
    expect(padding({})).toBe(-1);
    expect(padding({ pad_token_id: null })).toBe(-1);
    expect(padding({ pad_token_id: 31 })).toBe(31);
    expect(padding({ pad_token_id: 0 })).toBe(0);
    // As torch.nn.Embedding counts; one that the vocabulary lacks is no token's.
    expect(padding({ pad_token_id: -1 })).toBe(31);
    expect(padding({ pad_token_id: 32 })).toBe(-1);
    expect(padding({ pad_token_id: -33 })).toBe(-1);
    rejects({ ...tiny, pad_token_id: "0" }, "config.pad_token_id");
    rejects({ ...tiny, pad_token_id: 0.5 }, "config.pad_token_id");
    for (const model_type of ["olmo", "olmo2", "olmo3"]) expect(padding({ model_type })).toBe(1);
    expect(padding({ model_type: "gemma2" })).toBe(0);
    for (const model_type of ["mistral", "qwen2", "qwen3", "phi"])
      expect([padding({ model_type }), padding({ model_type, pad_token_id: 5 })]).toEqual([-1, 5]);
    expect(padding({ num_key_value_heads: undefined, model_type: "gpt_neox", pad_token_id: 5 })).toBe(-1);
    expect(describeModel({ model_type: "gpt2", pad_token_id: 5 }).paddingToken).toBe(-1);
  });
});

test("what is left out is transformers' default", () => {
  expect(describeModel({ model_type: "olmo2" })).toMatchObject({
    vocabularySize: 50304,
    width: 4096,
    heads: 32,
    keyValueHeads: 32,
    innerWidth: 11008,
  });
  expect(configureModel({ model_type: "qwen3" }).language?.contextLength).toBe(32768);
  const gemma = describeModel({ model_type: "gemma2" });
  expect(gemma).toMatchObject({ headWidth: 256, attentionCap: 50, logitCap: 30, embeddingScale: 48 });
  expect(gemma.names.head).toBeUndefined();
  expect(gemma.layers.slice(0, 4)).toEqual([0, 1, 0, 1]);
  const gemma3 = describeModel({ model_type: "gemma3_text" });
  expect(gemma3).toMatchObject({ headWidth: 256, attentionCap: 0, logitCap: 0, attentionScale: 1 / 16 });
  expect(gemma3.layers.slice(0, 7)).toEqual([0, 0, 0, 0, 0, 1, 0]);
  const [local, global] = gemma3.attentionKinds.map(({ frequencies }) => frequencies[64]);
  expect([local, global]).toEqual([10_000 ** -0.5, 1_000_000 ** -0.5]);
  const smol = describeModel({ model_type: "smollm3" });
  expect(smol.layers.slice(0, 5)).toEqual([0, 0, 0, 1, 0]);
  expect(smol.attentionKinds.map(({ frequencies }) => frequencies.length)).toEqual([64, 0]);
  expect(describeModel({ model_type: "mixtral" })).toMatchObject({
    mixture: { experts: 8, chosen: 2, innerWidth: 14336, normalized: true },
    attentionKinds: [{ window: 0 }],
  });
  const olmoe = describeModel({ model_type: "olmoe" });
  expect(olmoe.mixture).toMatchObject({ experts: 64, chosen: 8, innerWidth: 2048, normalized: false });
  expect(olmoe.mixture?.layers).toHaveLength(16);
  const qwen = { model_type: "qwen3_moe", num_hidden_layers: 6 };
  expect(describeModel(qwen)).toMatchObject({
    mixture: { layers: [0, 1, 2, 3, 4, 5], experts: 128, chosen: 8, innerWidth: 768 },
    headWidth: 64,
  });
  const some = describeModel({ ...qwen, decoder_sparse_step: 2, mlp_only_layers: [3] });
  expect(some.mixture?.layers).toEqual([1, 5]);
  expect(describeModel({ ...qwen, decoder_sparse_step: 7 }).mixture).toBeUndefined();
  const granite = describeModel({ model_type: "granite" });
  expect(granite).toMatchObject({ attentionScale: 1, embeddingScale: 1, residualScale: 1, logitScale: 1 });
});
