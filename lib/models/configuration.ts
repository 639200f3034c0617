import { checkBoolean, checkChoice, checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import type { Activation, Initialization, NativeModelDescription } from "../native/surface.js";

/** A multilayer perceptron, our own format (design: layer sizes from input to output). */
export interface MlpConfig {
  model_type: "mlp";
  layer_sizes: readonly number[];
  activation: "gelu" | "relu" | "tanh";
  loss: "mse" | "cross_entropy";
}

/** Hugging Face's `GPT2Config`, the keys that change a loss; the others default to Hugging Face's values. */
export interface Gpt2Config {
  model_type: "gpt2";
  vocab_size: number;
  n_positions: number;
  n_embd: number;
  n_layer: number;
  n_head: number;
  /** null: 4 · n_embd. */
  n_inner: number | null;
  activation_function: "gelu" | "gelu_new" | "gelu_pytorch_tanh" | "relu" | "tanh";
  layer_norm_epsilon: number;
  tie_word_embeddings: boolean;
}

export type ModelConfig = MlpConfig | Gpt2Config;
/** What `createModel` takes: keys with a Hugging Face default may be left out. */
export type ModelConfigInput = MlpConfig | ({ model_type: "gpt2" } & Partial<Omit<Gpt2Config, "model_type">>);

export interface ConfiguredModel {
  config: ModelConfig;
  description: NativeModelDescription;
  defaultInitialization: Initialization;
}

const gpt2Defaults: Omit<Gpt2Config, "model_type"> = {
  vocab_size: 50257,
  n_positions: 1024,
  n_embd: 768,
  n_layer: 12,
  n_head: 12,
  n_inner: null,
  activation_function: "gelu_new",
  layer_norm_epsilon: 1e-5,
  tie_word_embeddings: true,
};

/** Keys of a GPT-2 configuration that can change a loss only by these values; we know no other. */
const gpt2Fixed: Record<string, unknown> = {
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  add_cross_attention: false,
};
/** Keys that change no loss: dropout (off in every measurement), generation, bookkeeping, training. */
const ignoredKeys =
  /^(architectures|(attn|embd|resid)_pdrop|.*_token_id|initializer_range|n_ctx|summary_.*|task_specific_params|torch_dtype|dtype|transformers_version|use_cache|gradient_checkpointing|output_.*|return_dict.*|reorder_and_upcast_attn|id2label|label2id|problem_type|chunk_size_feed_forward|is_encoder_decoder|is_decoder|_.*)$/;

const activations: Record<string, Activation> = {
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu: "relu",
  tanh: "tanh",
};
const largestSize = 2 ** 31 - 1;
const size = { minimum: 1, maximum: largestSize, integer: true };

/**
 * Checks a model configuration and says what the native side has to build.
 *
 * @throws TypeError, RangeError naming the key.
 */
export function configureModel(input: unknown): ConfiguredModel {
  const raw = checkOptions(input, "the model configuration");
  const type = checkChoice(raw.model_type, "config.model_type", ["mlp", "gpt2"]);
  return type === "mlp" ? configureMlp(raw) : configureGpt2(raw);
}

function configureMlp(raw: Record<string, unknown>): ConfiguredModel {
  const { model_type, layer_sizes, activation, loss, ...rest } = raw;
  rejectUnknown(rest, () => false);
  if (!Array.isArray(layer_sizes) || layer_sizes.length < 2)
    throw expected("an array of at least two sizes", "config.layer_sizes", layer_sizes);
  const config: MlpConfig = {
    model_type: "mlp",
    layer_sizes: Array.from(layer_sizes, (n, i) => checkNumber(n, `config.layer_sizes[${i}]`, size)),
    activation: checkChoice(activation, "config.activation", ["gelu", "relu", "tanh"]),
    loss: checkChoice(loss, "config.loss", ["mse", "cross_entropy"]),
  };
  return {
    config,
    description: {
      kind: "mlp",
      layerSizes: [...config.layer_sizes],
      activation: config.activation,
      loss: config.loss,
    },
    defaultInitialization: "pytorch",
  };
}

function configureGpt2(raw: Record<string, unknown>): ConfiguredModel {
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined));
  rejectUnknown(
    given,
    (key) =>
      Object.hasOwn(gpt2Defaults, key) ||
      Object.hasOwn(gpt2Fixed, key) ||
      key === "model_type" ||
      ignoredKeys.test(key),
  );
  for (const [key, only] of Object.entries(gpt2Fixed))
    if (Object.hasOwn(given, key) && given[key] !== only)
      throw expected(JSON.stringify(only), `config.${key}`, given[key], "range");
  const all: Record<string, unknown> = { ...gpt2Defaults, ...given };
  const count = (key: string) => checkNumber(all[key], `config.${key}`, size);
  const config: Gpt2Config = {
    model_type: "gpt2",
    vocab_size: count("vocab_size"),
    n_positions: count("n_positions"),
    n_embd: count("n_embd"),
    n_layer: count("n_layer"),
    n_head: count("n_head"),
    n_inner: all.n_inner === null ? null : count("n_inner"),
    activation_function: checkChoice(all.activation_function, "config.activation_function", [
      "gelu",
      "gelu_new",
      "gelu_pytorch_tanh",
      "relu",
      "tanh",
    ]),
    layer_norm_epsilon: checkNumber(all.layer_norm_epsilon, "config.layer_norm_epsilon", { above: 0 }),
    tie_word_embeddings: checkBoolean(all.tie_word_embeddings, "config.tie_word_embeddings"),
  };
  if (config.n_embd % config.n_head !== 0)
    throw expected(`a divisor of n_embd (${config.n_embd})`, "config.n_head", config.n_head, "range");
  return {
    config,
    description: {
      kind: "gpt2",
      vocabularySize: config.vocab_size,
      contextLength: config.n_positions,
      width: config.n_embd,
      layers: config.n_layer,
      heads: config.n_head,
      innerWidth: config.n_inner ?? 4 * config.n_embd,
      activation: activations[config.activation_function] as Activation,
      normEpsilon: config.layer_norm_epsilon,
      tied: config.tie_word_embeddings,
    },
    defaultInitialization: "gpt2",
  };
}

function rejectUnknown(keys: Record<string, unknown>, known: (key: string) => boolean): void {
  const unknown = Object.keys(keys).find((key) => !known(key));
  if (unknown !== undefined) throw expected("only known keys", "the model configuration", unknown, "range");
}

/** The configuration as it is written to `config.json`, so that Hugging Face transformers opens it too. */
export function configFile(config: ModelConfig): Record<string, unknown> {
  return config.model_type === "gpt2" ? { architectures: ["GPT2LMHeadModel"], ...config } : { ...config };
}
