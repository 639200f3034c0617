import { expected } from "../errors.js";
import { checkChoice, checkNumber, checkOptions } from "../options/index.js";
import type { Initialization, NativeModelDescription, NativeReduction } from "../torch/index.js";
import type { AdaptedModel } from "./adapters/adapter-model.js";
import { type FamilyName, families, familyNames } from "./families/index.js";
import type { Checkpoint } from "./families/settings.js";
import type { StateDict } from "./programs/state-dict.js";

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

/**
 * A configuration of one of Hugging Face's other decoders, as it was given. Keys that are left out have transformers'
 * values; one that would change a loss and is not understood is an error. As in transformers, the embedding of `pad_token_id`
 * gets no gradient (`padding_idx`; a tied head's part stays): to derivatives it is a constant. GPT-NeoX has none such.
 * A mixture of experts has its auxiliary loss (times `router_aux_loss_coef`) where `output_router_logits` is true. It is made of all
 * tokens of a batch, those that pad it as well; with micro-batches each has its own, by its share of what counts.
 */
export interface DecoderConfig {
  model_type: Exclude<FamilyName, "gpt2">;
  [key: string]: unknown;
}

/** A program, as `save` writes its config.json. */
export interface ProgramConfig {
  model_type: "program";
  /** The `.pt2` file, absolute or beside the config.json. */
  program: string;
  reduction: NativeReduction;
  dropout_seed: number | null;
}

export type ModelConfig = ProgramConfig | MlpConfig | Gpt2Config | DecoderConfig;
/** What `createModel` takes: keys with a Hugging Face default may be left out. */
export type ModelConfigInput =
  | MlpConfig
  | ({ model_type: "gpt2" } & Partial<Omit<Gpt2Config, "model_type">>)
  | DecoderConfig;

export interface ConfiguredModel {
  config: ModelConfig;
  /** The configuration as it is written to `config.json`: as it was given, so that transformers opens it too. */
  file: Record<string, unknown>;
  description: NativeModelDescription;
  defaultInitialization: Initialization;
  /** What checkpoints of a language model call things. */
  checkpoint?: Checkpoint;
  /** Of a program. */
  state?: StateDict;
  /** Beside its projections. */
  adapter?: AdaptedModel | undefined;
  /** Of a language model: its vocabulary, and the tokens in a sequence as it was trained. */
  language?: { vocabularySize: number; contextLength: number };
}

const size = { minimum: 1, maximum: 2 ** 31 - 1, integer: true };

/**
 * Checks a model configuration and says what the native side has to build.
 *
 * @throws TypeError, RangeError naming the key.
 */
export function configureModel(input: unknown): ConfiguredModel {
  const raw = checkOptions(input, "the model configuration");
  const type = checkChoice(raw.model_type, "config.model_type", ["mlp", ...familyNames]);
  return type === "mlp" ? configureMlp(raw) : configureDecoder(raw, type);
}

function configureMlp(raw: Record<string, unknown>): ConfiguredModel {
  const { model_type, layer_sizes, activation, loss, ...rest } = raw;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw expected("only known keys", "the model configuration", unknown, "range");
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
    file: { ...config },
    description: {
      kind: "mlp",
      layerSizes: [...config.layer_sizes],
      activation: config.activation,
      loss: config.loss,
    },
    defaultInitialization: "pytorch",
  };
}

function configureDecoder(raw: Record<string, unknown>, type: FamilyName): ConfiguredModel {
  const family = families[type];
  const { values, description, contextLength } = family.configure(raw);
  // GPT-2's settings all have names of their own: its configuration is the whole of them.
  const config = (type === "gpt2" ? { model_type: type, ...values } : structuredClone(raw)) as ModelConfig;
  return {
    config,
    file: { architectures: [family.architecture], ...raw, ...config },
    description,
    defaultInitialization: type === "gpt2" ? "gpt2" : "normal",
    checkpoint: family,
    language: { vocabularySize: description.vocabularySize, contextLength },
  };
}

/** Where a model computes: the processor, or a CUDA device by its number; "cuda" is "cuda:0". */
export type Device = "cpu" | "cuda" | `cuda:${number}`;

/** What a device's name may be. Whether there is such a device is found out when a model is made. */
export function isDevice(name: unknown): name is Device {
  return typeof name === "string" && /^(cpu|cuda(:(0|[1-9]\d?))?)$/.test(name);
}

export const deviceNames = '"cpu", "cuda" or "cuda:<number>"';
