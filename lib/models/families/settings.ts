import { expected } from "../../errors.js";
import { checkBoolean, checkChoice, checkNumber, checkOptions } from "../../options/index.js";
import type { Activation, NativeDecoderDescription } from "../../torch/index.js";
import { isHarmless } from "./harmless-keys.js";

/** A key of a configuration: how its value is checked, and what it is when it is left out. */
export interface Setting<T> {
  readonly fallback: T;
  read(value: unknown, subject: string): T;
}

export type Settings = Record<string, Setting<unknown>>;
/** What settings read. */
export type ValuesOf<S extends Settings> = { [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

const largestSize = 2 ** 31 - 1;
/** As the native side has it. */
const mostLayers = 10_000;
const sizeBounds = { minimum: 1, maximum: largestSize, integer: true };

export const size = (fallback: number): Setting<number> => ({
  fallback,
  read: (value, subject) => checkNumber(value, subject, sizeBounds),
});
/** A number of layers. */
export const layerCount = (fallback: number): Setting<number> => ({
  fallback,
  read: (value, subject) => checkNumber(value, subject, { ...sizeBounds, maximum: mostLayers }),
});
export const positive = (fallback: number): Setting<number> => ({
  fallback,
  read: (value, subject) => checkNumber(value, subject, { above: 0 }),
});
export const nonnegative = (fallback: number): Setting<number> => ({
  fallback,
  read: (value, subject) => checkNumber(value, subject, { minimum: 0 }),
});
const tokenBounds = { minimum: -largestSize, maximum: largestSize, integer: true };
/** null or a token's id. */
export const token = (fallback: number | null): Setting<number | null> => ({
  fallback,
  read: (value, subject) => (value === null ? null : checkNumber(value, subject, tokenBounds)),
});
export const flag = (fallback: boolean): Setting<boolean> => ({ fallback, read: checkBoolean });
/** null, which is the fallback unless there is another, or what the setting reads. */
export const optional = <T>(setting: Setting<T>, fallback: T | null = null): Setting<T | null> => ({
  fallback,
  read: (value, subject) => (value === null ? null : setting.read(value, subject)),
});
/** null or an object, to be read by whoever knows its keys. */
export const record: Setting<Record<string, unknown> | null> = {
  fallback: null,
  read: (value, subject) => (value === null ? null : checkOptions(value, subject)),
};

/** Activations by their names in transformers. */
export const activations = {
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu: "relu",
  silu: "silu",
  swish: "silu",
  tanh: "tanh",
} as const satisfies Record<string, Activation>;
export type ActivationName = keyof typeof activations;

export const activation = <T extends ActivationName>(
  fallback: T,
  names: readonly ActivationName[] = Object.keys(activations) as ActivationName[],
): Setting<ActivationName> => ({
  fallback,
  read: (value, subject) => checkChoice(value, subject, names),
});

const layerTypeNames = ["full_attention", "sliding_attention"] as const;
export type LayerType = (typeof layerTypeNames)[number];
/** Each layer's kind of attention; null: the family's rule. */
export const layerTypes: Setting<readonly LayerType[] | null> = {
  fallback: null,
  read(value, subject) {
    if (value === null) return null;
    if (!Array.isArray(value)) throw expected("an array of layer types", subject, value);
    return Array.from(value, (type, i) => checkChoice(type, `${subject}[${i}]`, layerTypeNames));
  },
};

/** Numbers of layers; null: none. */
export const layerNumbers: Setting<readonly number[]> = {
  fallback: [],
  read(value, subject) {
    if (value === null) return [];
    if (!Array.isArray(value)) throw expected("an array of layers' numbers", subject, value);
    const bounds = { minimum: 0, maximum: mostLayers, integer: true };
    return Array.from(value, (layer, i) => checkNumber(layer, `${subject}[${i}]`, bounds));
  },
};

export interface Schema<S extends Settings> {
  settings: S;
  /** Keys that change a loss unless they have this value. */
  fixed?: Record<string, unknown>;
  /** Further keys that change no loss. */
  ignored?: RegExp;
}

const remedies: Record<string, string> = {
  quantization_config:
    "weights that are not quantized (transformers' model.dequantize().save_pretrained makes them of some), no",
  compression_config: "weights that are not compressed, no",
};
const unknownKey = (key: string) =>
  expected(
    remedies[key] === undefined
      ? "only known keys (remove one that changes no loss from config.json)"
      : `${remedies[key]} ${key},`,
    "the model configuration",
    key,
    "range",
  );

/** A configuration's settings. @throws TypeError, RangeError naming the key that is unknown or cannot be used. */
export function readSettings<S extends Settings>(
  raw: Record<string, unknown>,
  { settings, fixed = {}, ignored }: Schema<S>,
): ValuesOf<S> {
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined));
  for (const key of Object.keys(given)) {
    const known =
      key === "model_type" ||
      Object.hasOwn(settings, key) ||
      Object.hasOwn(fixed, key) ||
      ignored?.test(key) ||
      isHarmless(key, given[key], given);
    if (!known) throw unknownKey(key);
    if (Object.hasOwn(fixed, key) && given[key] !== fixed[key])
      throw expected(JSON.stringify(fixed[key]), `config.${key}`, given[key], "range");
  }
  const values = Object.entries(settings).map(([key, { fallback, read }]) => [
    key,
    Object.hasOwn(given, key) ? read(given[key], `config.${key}`) : fallback,
  ]);
  return Object.fromEntries(values) as ValuesOf<S>;
}

/** A model type of Hugging Face transformers: the keys of its config.json and the decoder that they describe. */
export interface Family extends Checkpoint {
  /** Its class in transformers. */
  architecture: string;
  configure(raw: Record<string, unknown>): ConfiguredDecoder;
}

/** A family from data: its settings, and what they come to. */
export function family<S extends Settings>(
  about: Checkpoint & { architecture: string },
  schema: Schema<S>,
  describe: (values: ValuesOf<S>) => { description: NativeDecoderDescription; contextLength: number },
): Family {
  const configure = (raw: Record<string, unknown>) => {
    const values = readSettings(raw, schema);
    return { values, ...describe(values) };
  };
  return { ...about, configure };
}

/** What its checkpoints call things, beside the modules' names. */
export interface Checkpoint {
  /** Before the names of all but the head; checkpoints of the model without its head leave it out. */
  prefix: string;
  /** Its head's tensor. Default: "lm_head.weight". */
  head?: string;
  /** The configuration of the same model with a head of its own. */
  untied?: (file: Record<string, unknown>) => Record<string, unknown>;
  /** Other names of tensors, by those in files. */
  aliases?: Record<string, string>;
  /** Tensors that are no parameters, in older checkpoints. */
  buffers?: RegExp;
  /** Of a tensor that holds several parameters, or one of another name: what lies in it, from its start to its end. */
  parts?: (name: string, shape: readonly number[]) => readonly Part[] | undefined;
  /** Default: "norms-last". */
  registration?: Registration;
}

/**
 * How transformers' module of a layer registers its parts: as they compute, as GPT-2's does; or its norms behind attention and MLP,
 * or before them. `named_parameters()` goes by that, and so does an optimizer's state that numbers its parameters.
 */
export type Registration = "as-computed" | "norms-last" | "norms-first";

export interface Part {
  name: string;
  shape: readonly number[];
}

export interface ConfiguredDecoder {
  /** All settings, with their fallbacks. */
  values: Record<string, unknown>;
  description: NativeDecoderDescription;
  /** Tokens in a sequence as the model was trained. Only learned positions limit it. */
  contextLength: number;
}
