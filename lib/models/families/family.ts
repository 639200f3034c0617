import type { NativeDecoderDescription } from "../../native/model-description.js";
import { readSettings, type Schema, type Settings, type ValuesOf } from "./settings.js";

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
