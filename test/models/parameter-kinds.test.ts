import { describe, expect, it } from "vitest";
import { createModel } from "../../lib/models/index.js";
import { parameterBlock, parameterKind, parameterParts } from "../../lib/models/parameters.js";

/** Names as Hugging Face transformers has them. */
const families: Record<string, Record<string, string>> = {
  gpt2: {
    "transformer.wte.weight": "embeddings",
    "transformer.wpe.weight": "embeddings",
    "transformer.h.11.ln_1.bias": "norms",
    "transformer.h.11.attn.c_attn.weight": "attention",
    "transformer.h.11.attn.c_proj.bias": "attention",
    "transformer.h.11.mlp.c_fc.weight": "mlp",
    "transformer.ln_f.weight": "norms",
    "lm_head.weight": "head",
  },
  gpt_neox: {
    "gpt_neox.embed_in.weight": "embeddings",
    "gpt_neox.layers.3.input_layernorm.weight": "norms",
    "gpt_neox.layers.3.post_attention_layernorm.bias": "norms",
    "gpt_neox.layers.3.attention.query_key_value.weight": "attention",
    "gpt_neox.layers.3.attention.dense.bias": "attention",
    "gpt_neox.layers.3.mlp.dense_h_to_4h.weight": "mlp",
    "gpt_neox.final_layer_norm.weight": "norms",
    "embed_out.weight": "head",
  },
  "llama, mistral, smollm3, granite, qwen, olmo, gemma": {
    "model.embed_tokens.weight": "embeddings",
    "model.layers.0.self_attn.q_proj.weight": "attention",
    "model.layers.0.self_attn.q_proj.bias": "attention",
    "model.layers.0.self_attn.o_proj.weight": "attention",
    "model.layers.0.self_attn.q_norm.weight": "norms",
    "model.layers.0.self_attn.k_norm.weight": "norms",
    "model.layers.0.mlp.gate_proj.weight": "mlp",
    "model.layers.0.mlp.down_proj.weight": "mlp",
    "model.layers.0.input_layernorm.weight": "norms",
    "model.layers.0.post_attention_layernorm.weight": "norms",
    "model.layers.0.pre_feedforward_layernorm.weight": "norms",
    "model.layers.0.post_feedforward_layernorm.weight": "norms",
    "model.norm.weight": "norms",
    "lm_head.weight": "head",
  },
  "mixtral, olmoe, qwen3_moe": {
    "model.layers.0.block_sparse_moe.gate.weight": "mlp",
    "model.layers.0.block_sparse_moe.experts.7.w2.weight": "mlp",
    "model.layers.0.mlp.gate.weight": "mlp",
    "model.layers.0.mlp.experts.63.down_proj.weight": "mlp",
  },
  phi: {
    "model.embed_tokens.weight": "embeddings",
    "model.layers.2.self_attn.dense.weight": "attention",
    "model.layers.2.self_attn.q_layernorm.weight": "norms",
    "model.layers.2.mlp.fc1.bias": "mlp",
    "model.final_layernorm.weight": "norms",
    "lm_head.bias": "head",
  },
  "our perceptrons": { "layers.0.weight": "mlp", "layers.4.bias": "mlp" },
};

describe.each(Object.entries(families))("parameters of %s", (_, kinds) => {
  it.each(Object.entries(kinds))("%s", (name, kind) => {
    expect(parameterKind(name)).toBe(kind);
  });
});

describe("blocks", () => {
  it.each([
    ["transformer.h.11.mlp.c_fc.weight", "layer 11"],
    ["gpt_neox.layers.3.attention.dense.bias", "layer 3"],
    ["layers.4.bias", "layer 4"],
    ["model.embed_tokens.weight", "embeddings"],
    ["model.norm.weight", "last norm"],
    ["lm_head.weight", "head"],
    ["something.else", "other"],
  ])("%s", (name, block) => {
    expect(parameterBlock(name)).toBe(block);
  });

  it("and kinds take every parameter of a model once, in its order", async () => {
    const sizes = { vocab_size: 7, n_positions: 4, n_embd: 4, n_layer: 2, n_head: 1 };
    using model = await createModel({ model_type: "gpt2", tie_word_embeddings: false, ...sizes });
    const names = model.parameters.map(({ name }) => name);
    const blocks = parameterParts(model.parameters, "blocks");
    expect(Object.keys(blocks)).toEqual(["embeddings", "layer 0", "layer 1", "last norm", "head"]);
    const kinds = parameterParts(model.parameters, "kinds");
    expect(Object.keys(kinds).sort()).toEqual(["attention", "embeddings", "head", "mlp", "norms"]);
    for (const parts of [blocks, kinds])
      expect(Object.values(parts).flat().sort()).toEqual([...names].sort());
  });
});
