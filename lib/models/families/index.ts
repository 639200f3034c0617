import type { NativeDecoderDescription } from "../../torch/index.js";
import { gemma2 } from "./gemma2.js";
import { gptNeox } from "./gpt-neox.js";
import { gpt2 } from "./gpt2.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { olmo, olmo2, olmo3 } from "./olmo.js";
import { phi } from "./phi.js";
import { qwen2, qwen3 } from "./qwen.js";
import { readSettings, type Schema, type Settings, type ValuesOf } from "./settings.js";

/** Language models by the `model_type` of their config.json. */
export const families = {
  gpt2,
  gpt_neox: gptNeox,
  llama,
  mistral,
  qwen2,
  qwen3,
  olmo,
  olmo2,
  olmo3,
  gemma2,
  phi,
} satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;
export const familyNames = Object.keys(families) as FamilyName[];

/** A model type of Hugging Face transformers: the keys of its config.json and the decoder that they describe. */
export interface Family extends Checkpoint {
  /** Its class in transformers. */
  architecture: string;
  configure(raw: Record<string, unknown>): ConfiguredDecoder;
}

/** What its checkpoints call things, beside the modules' names. */
export interface Checkpoint {
  /** Before the names of all but the head; checkpoints of the model without its head leave it out. */
  prefix: string;
  /** Other names of tensors, by those in files. */
  aliases?: Record<string, string>;
  /** Tensors that are no parameters, in older checkpoints. */
  buffers?: RegExp;
}

export interface ConfiguredDecoder {
  /** All settings, with their fallbacks. */
  values: Record<string, unknown>;
  description: NativeDecoderDescription;
  /** Tokens in a sequence as the model was trained. Only learned positions limit it. */
  contextLength: number;
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
