import { expected } from "../../errors.js";
import { checkChoice, checkNumber, checkOptions } from "../../options/index.js";
import type { NativeDecoderDescription } from "../../torch/index.js";
import type { LayerType } from "./settings.js";

/** Rotary positions of one kind of attention. */
export interface Rotation {
  /** Radians a token, of each rotated pair of channels. */
  frequencies: number[];
  /** Of cosines and sines. */
  rotaryScale: number;
}

export interface RotarySource {
  /** transformers 5's `rope_parameters`, or `rope_scaling` of older ones; what it lacks comes from the others. */
  parameters: Record<string, unknown> | null;
  subject: string;
  /** θ, unless the parameters have it. */
  base: number;
  headWidth: number;
  /** `max_position_embeddings` */
  contextLength: number;
  /** Of the head's channels that are rotated, unless the parameters have it; undefined: all, and they cannot say otherwise. */
  fraction?: number;
  /** An odd number of rotated channels is one more, as in transformers' GPT-NeoX (its Phi is defined so, but cannot compute it). */
  roundsUp?: boolean;
}

const types = ["default", "linear", "llama3", "yarn"] as const;
const keysOf: Record<(typeof types)[number], readonly string[]> = {
  default: [],
  linear: ["factor"],
  llama3: ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
  yarn: [
    "factor",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "original_max_position_embeddings",
    "truncate",
  ],
};

/**
 * Frequencies θ^(−2i/d) of d rotated channels (Su et al. 2021), scaled for longer contexts as the parameters say: all alike,
 * as Llama 3 does (Dubey et al. 2024) or by YaRN (Peng et al. 2023).
 *
 * @throws TypeError, RangeError naming the key that is unknown or cannot be used.
 */
export function rotation(source: RotarySource): Rotation {
  const { subject, contextLength } = source;
  const given = Object.fromEntries(
    Object.entries(source.parameters ?? {}).filter(([, value]) => value !== null && value !== undefined),
  );
  const number = (key: string, fallback?: number) =>
    checkNumber(given[key] ?? fallback, `${subject}.${key}`, { above: 0 });
  const type = checkChoice(given.rope_type ?? given.type ?? "default", `${subject}.rope_type`, types);
  const known = ["rope_type", "type", "rope_theta", "partial_rotary_factor", ...keysOf[type]];
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) throw expected(`only keys of rope_type "${type}"`, subject, unknown, "range");
  const base = number("rope_theta", source.base);
  const fraction = number("partial_rotary_factor", source.fraction ?? 1);
  if (fraction > 1 || (source.fraction === undefined && fraction !== 1))
    throw expected(
      "at most 1, the fraction that is rotated,",
      `${subject}.partial_rotary_factor`,
      fraction,
      "range",
    );
  const channels = Math.trunc(source.headWidth * fraction);
  // transformers rotates a channel more than an odd number of them, with frequencies of the odd one, where the model lets it.
  const pairs = Math.ceil(channels / 2);
  const odd = channels % 2 !== 0;
  if (odd && (!source.roundsUp || type === "yarn" || 2 * pairs > source.headWidth))
    throw expected(
      "an even number of rotated channels",
      `${subject} of ${source.headWidth} a head`,
      channels,
      "range",
    );
  const plain = Array.from({ length: pairs }, (_, i) => base ** ((-2 * i) / channels));
  switch (type) {
    case "default":
      return { frequencies: plain, rotaryScale: 1 };
    case "linear": {
      const factor = number("factor");
      return { frequencies: plain.map((f) => f / factor), rotaryScale: 1 };
    }
    case "llama3":
      return { frequencies: llama3(plain, number, contextLength), rotaryScale: 1 };
    case "yarn":
      if (given.truncate !== undefined && given.truncate !== true)
        throw expected("true", `${subject}.truncate`, given.truncate, "range");
      return yarn(plain, { base, channels, contextLength, number, given });
  }
}

interface RotarySettings {
  rope_scaling: Record<string, unknown> | null;
  rope_parameters: Record<string, unknown> | null;
  max_position_embeddings: number;
}

/**
 * Of one type of layer, where types differ: today's configurations have rotary parameters for each, older ones a scaling of the full
 * ones. `base` is the type's θ, unless the parameters have it.
 */
export function rotaryOfType(
  { rope_scaling: scaling, rope_parameters, max_position_embeddings: contextLength }: RotarySettings,
  type: LayerType,
  base: number,
): Omit<RotarySource, "headWidth"> {
  const { full_attention, sliding_attention, ...rest } = rope_parameters ?? {};
  const [other] = Object.keys(rest);
  if (other !== undefined) throw expected("types of layers", "config.rope_parameters", other, "range");
  // transformers keeps the type "default" beside a scaling's older key.
  if (scaling?.type !== undefined && scaling.rope_type === undefined)
    throw expected("rope_type in place of type", "config.rope_scaling", scaling.type, "range");
  const own = type === "full_attention" ? full_attention : sliding_attention;
  const ofType = { base, contextLength, subject: `config.rope_parameters.${type}` };
  const parameters = own === null ? {} : checkOptions(own, ofType.subject);
  if (type === "sliding_attention" || scaling === null) return { ...ofType, parameters };
  return { ...ofType, parameters: { ...parameters, ...scaling }, subject: "config.rope_scaling" };
}

type ReadNumber = (key: string, fallback?: number) => number;

/** Wavelengths beyond the original context are stretched by the factor, short ones stay, those between go from one to the other. */
function llama3(plain: readonly number[], number: ReadNumber, contextLength: number): number[] {
  const factor = number("factor");
  const low = number("low_freq_factor");
  const high = number("high_freq_factor");
  const original = number("original_max_position_embeddings", contextLength);
  return plain.map((frequency) => {
    const turns = (original * frequency) / (2 * Math.PI);
    if (turns > high) return frequency;
    if (turns < low) return frequency / factor;
    const kept = (turns - low) / (high - low);
    return (1 - kept) * (frequency / factor) + kept * frequency;
  });
}

interface YarnSource {
  base: number;
  channels: number;
  contextLength: number;
  number: ReadNumber;
  given: Record<string, unknown>;
}

/** As Llama 3, but what goes from one to the other is linear in the channel; attention is sharpened by the rotary scale. */
function yarn(
  plain: readonly number[],
  { base, channels, contextLength, number, given }: YarnSource,
): Rotation {
  const original = number("original_max_position_embeddings", contextLength);
  const factor = number("factor", contextLength / original);
  const channelOf = (turns: number) =>
    (channels * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const first = Math.max(Math.floor(channelOf(number("beta_fast", 32))), 0);
  const last = Math.min(Math.ceil(channelOf(number("beta_slow", 1))), channels - 1);
  const span = last === first ? 0.001 : last - first;
  const frequencies = plain.map((frequency, i) => {
    const stretched = Math.min(Math.max((i - first) / span, 0), 1);
    return (stretched * frequency) / factor + (1 - stretched) * frequency;
  });
  const sharpness = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const both = given.mscale !== undefined && given.mscale_all_dim !== undefined;
  const usual = both ? sharpness(number("mscale")) / sharpness(number("mscale_all_dim")) : sharpness(1);
  return { frequencies, rotaryScale: number("attention_factor", usual) };
}

/** Of layers that slide, where there may be a window that is not used. */
export const usedWindow = (values: { use_sliding_window: boolean; sliding_window: number | null }) =>
  values.use_sliding_window ? values.sliding_window : null;

export type Layers = Pick<NativeDecoderDescription, "attentionKinds" | "layers">;

/** Layers that all attend alike: to the last `window` tokens, or (null) to all. */
export function alike(count: number, rotation: Rotation, window: number | null = null): Layers {
  return { attentionKinds: [{ window: window ?? 0, ...rotation }], layers: Array(count).fill(0) };
}

/** Layers of two kinds. @throws RangeError unless there is a type for each layer, and a window where one needs it. */
export function ofTypes(
  count: number,
  types: readonly LayerType[],
  window: number | null,
  rotation: (type: LayerType) => Rotation,
): Layers {
  if (types.length !== count)
    throw expected(`${count} types, one a layer,`, "config.layer_types", types, "range");
  if (window === null && types.includes("sliding_attention"))
    throw expected("a window for layers that slide", "config.sliding_window", window, "range");
  const kinds = [...new Set(types)];
  return {
    attentionKinds: kinds.map((type) => ({
      window: type === "sliding_attention" ? (window as number) : 0,
      ...rotation(type),
    })),
    layers: types.map((type) => kinds.indexOf(type)),
  };
}
