import { describe, expect, test } from "vitest";
import { configureModel, type Gpt2Config } from "../../lib/models/configuration.js";
import { gpt, mlp } from "./files.js";

/** The call throws the project's error for an argument, naming the key. */
function rejects(config: unknown, subject: string) {
  let error: { code?: string; message?: string } = {};
  try {
    configureModel(config);
  } catch (e) {
    error = e as typeof error;
  }
  expect(error.code, JSON.stringify(config)).toMatch(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/);
  expect(error.message).toMatch(/^Expected .+ for .+ but received /);
  expect(error.message).toContain(subject);
}

const notSizes: unknown[] = [0, -1, 1.5, NaN, Infinity, 2 ** 31, "3", null, true, {}, [4]];

describe("GPT-2", () => {
  test("takes Hugging Face's defaults for what is left out", () => {
    const { config, description, defaultInitialization } = configureModel({ model_type: "gpt2" });
    expect(config).toEqual({
      model_type: "gpt2",
      vocab_size: 50257,
      n_positions: 1024,
      n_embd: 768,
      n_layer: 12,
      n_head: 12,
      n_inner: null,
      activation_function: "gelu_new",
      layer_norm_epsilon: 1e-5,
      tie_word_embeddings: true,
    });
    expect(description).toMatchObject({ innerWidth: 3072, activation: "gelu_tanh" });
    expect(configureModel({ ...gpt, tie_word_embeddings: false }).description).toMatchObject({
      names: { head: "lm_head" },
    });
    expect(defaultInitialization).toBe("gpt2");
  });

  test("knows the activations' names", () => {
    const named = {
      gelu: "gelu",
      gelu_new: "gelu_tanh",
      gelu_pytorch_tanh: "gelu_tanh",
      relu: "relu",
      tanh: "tanh",
    };
    for (const [activation_function, activation] of Object.entries(named))
      expect(configureModel({ ...gpt, activation_function }).description).toMatchObject({ activation });
  });

  test("passes over keys that change no loss, and refuses those that do", () => {
    const harmless = {
      architectures: ["GPT2LMHeadModel"],
      attn_pdrop: 0.1,
      embd_pdrop: 0.1,
      resid_pdrop: 0.1,
      bos_token_id: 50256,
      eos_token_id: 50256,
      initializer_range: 0.02,
      n_ctx: 1024,
      summary_type: "cls_index",
      task_specific_params: { "text-generation": { max_length: 50 } },
      torch_dtype: "float32",
      dtype: "float32",
      transformers_version: "5.0.0",
      use_cache: true,
      scale_attn_weights: true,
      scale_attn_by_inverse_layer_idx: false,
      add_cross_attention: false,
      reorder_and_upcast_attn: false,
      _name_or_path: "gpt2",
    };
    expect(configureModel({ ...gpt, ...harmless }).config).toEqual(configureModel(gpt).config);
    for (const key of ["scale_attn_weights", "scale_attn_by_inverse_layer_idx", "add_cross_attention"])
      for (const value of [!harmless[key as keyof typeof harmless], 1, "true", null])
        rejects({ ...gpt, [key]: value }, `config.${key}`);
    for (const key of ["rotary", "n_layers", "vocab", "layer_sizes", "loss", "constructor", "toString", ""])
      rejects({ ...gpt, [key]: 1 }, JSON.stringify(key));
  });

  test("checks every value", () => {
    for (const key of ["vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"])
      for (const value of notSizes)
        if (key !== "n_inner" || value !== null) rejects({ ...gpt, [key]: value }, `config.${key}`);
    rejects({ ...gpt, n_head: 3 }, "config.n_head");
    for (const value of ["swish", "GELU", "constructor", 1, null])
      rejects({ ...gpt, activation_function: value }, "config.activation_function");
    for (const value of [0, -1e-5, NaN, "1e-5", null])
      rejects({ ...gpt, layer_norm_epsilon: value }, "config.layer_norm_epsilon");
    for (const value of [0, "true", null])
      rejects({ ...gpt, tie_word_embeddings: value }, "config.tie_word_embeddings");
  });

  test("is written with everything that a reader needs", () => {
    const { config, file } = configureModel({ ...gpt, n_inner: 20, bos_token_id: 3 });
    const read = JSON.parse(JSON.stringify(file)) as Gpt2Config;
    expect(read).toEqual({ architectures: ["GPT2LMHeadModel"], ...config, bos_token_id: 3 });
    expect(configureModel(read).config).toEqual(config);
  });
});

describe("MLP", () => {
  test("has layer sizes, an activation and a loss, and nothing else", () => {
    const { config, file, description, defaultInitialization } = configureModel(mlp);
    expect(config).toEqual(mlp);
    expect(description).toEqual({ kind: "mlp", layerSizes: [4, 6, 3], activation: "tanh", loss: "mse" });
    expect(defaultInitialization).toBe("pytorch");
    expect(file).toEqual(mlp);
    for (const key of ["vocab_size", "bias", "architectures", "_x"])
      rejects({ ...mlp, [key]: 1 }, JSON.stringify(key));
  });

  test("checks every value", () => {
    for (const value of [undefined, null, 3, "4,3", [], [4], { length: 2 }, new Int32Array(2)])
      rejects({ ...mlp, layer_sizes: value }, "config.layer_sizes");
    for (const value of notSizes) rejects({ ...mlp, layer_sizes: [4, value, 3] }, "config.layer_sizes[1]");
    rejects({ ...mlp, layer_sizes: new Array(3) }, "config.layer_sizes[0]"); // holes
    for (const value of [undefined, "gelu_new", "selu", 1, null])
      rejects({ ...mlp, activation: value }, "config.activation");
    for (const value of [undefined, "l1", "cross-entropy", 1, null])
      rejects({ ...mlp, loss: value }, "config.loss");
  });
});

test("what is no configuration, or one of another model", () => {
  for (const value of [null, 3, "gpt2", [], true]) rejects(value, "the model configuration");
  for (const type of [undefined, "bert", "GPT2", "constructor", 2, null])
    rejects({ ...gpt, model_type: type }, "config.model_type");
  rejects({}, "config.model_type");
  rejects(undefined, "config.model_type");
});
