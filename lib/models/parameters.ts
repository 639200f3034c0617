import { expected } from "../errors.js";
import { type NativeModel, Owner } from "../torch/index.js";
import type { Checkpoint } from "./families/settings.js";

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  /** Whether gradients, optimizers and Hessians are of it too; a frozen one is a constant to them. */
  readonly trainable: boolean;
}

/** Chooses parameters: a name, several names, or a function of a parameter. In a name, `*` stands for anything. */
export type ParameterSelection = string | readonly string[] | ((parameter: Parameter) => boolean);

/** Which parameters a selection chooses. @throws RangeError if a name is none of theirs. */
export function select<P extends Pick<Parameter, "name">>(
  parameters: readonly P[],
  selection: unknown,
  subject: string,
): boolean[] {
  if (typeof selection === "function") return parameters.map((p) => Boolean(selection(p)));
  const names = typeof selection === "string" ? [selection] : selection;
  if (!Array.isArray(names) || !names.every((n) => typeof n === "string"))
    throw expected("a parameter name, an array of them or a predicate", subject, selection);
  const patterns = names.map(patternOf);
  const unknown = names.find((_, i) => !parameters.some((p) => patterns[i]?.test(p.name)));
  if (unknown !== undefined)
    throw expected("a name of one of the model's parameters", subject, unknown, "range");
  return parameters.map((p) => patterns.some((pattern) => pattern.test(p.name)));
}

const patternOf = (name: string) =>
  new RegExp(`^${name.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);

/** The named weights of a model: all that directions and optimizers need to know of one. */
export abstract class ParameterSet extends Owner<NativeModel> {
  readonly parameters: readonly Parameter[];

  /** @internal What PyTorch's modules of a language model call its parameters, and in which order. */
  readonly checkpoint: Checkpoint | undefined;

  /** @internal */
  constructor(handle: NativeModel, checkpoint: Checkpoint | undefined) {
    super(handle);
    this.checkpoint = checkpoint;
    this.parameters = handle.parameters.map(({ name, shape, trainable }) => ({
      name,
      shape,
      size: shape.reduce((n, s) => n * s, 1),
      trainable,
    }));
  }

  /** Number of weights; a tied one counts once. */
  get parameterCount(): number {
    return this.parameters.reduce((sum, p) => sum + p.size, 0);
  }

  /** Number of those that are not frozen: the dimension of gradients and Hessians. */
  get trainableCount(): number {
    return this.parameters.reduce((sum, p) => sum + (p.trainable ? p.size : 0), 0);
  }

  /** Processes that share it, of `joinGroup`; 1: this one has all. */
  get ranks(): number {
    return this.handle.ranks;
  }

  /** How often the weights were changed. A measurement changes nothing. */
  get version(): number {
    return this.handle.version;
  }
}

/** What a parameter does in its network. */
export type ParameterKind = "embeddings" | "attention" | "mlp" | "norms" | "head" | "other";

/**
 * The words of parameter names, between their dots, that tell the kind; the first row that fits decides, so that a norm
 * within attention (`self_attn.q_norm`) is a norm. They are those of gpt2, gpt_neox, llama, mistral, smollm3, granite,
 * qwen2 and 3, olmo 1 to 3, gemma 2 and 3, phi, mixtral, olmoe and qwen3_moe as Hugging Face names them, and OLMo-core's.
 */
const words: readonly [RegExp, ParameterKind][] = [
  [/^(ln_\w+|\w*norm)$/, "norms"],
  [/^(wte|wpe|embed_in|embed_tokens|embeddings)$/, "embeddings"],
  [/^(lm_head|embed_out)$/, "head"],
  [/^(attn|self_attn|attention)$/, "attention"],
  [/^(mlp|block_sparse_moe|feed_forward)$/, "mlp"],
];
/** Of our own perceptrons: every layer is one. */
const perceptron = /^layers\.\d+\.(weight|bias)$/;
const layer = /(?:^|\.)(?:h|layers|blocks)\.(\d+)\./;

export function parameterKind(name: string): ParameterKind {
  const parts = name.split(".");
  for (const [word, kind] of words) if (parts.some((part) => word.test(part))) return kind;
  return perceptron.test(name) ? "mlp" : "other";
}

/** The layer that a parameter belongs to, from 0: "layer 3"; outside of layers its kind. */
export function parameterBlock(name: string): string {
  const index = layer.exec(name)?.[1];
  if (index !== undefined) return `layer ${Number(index)}`;
  const kind = parameterKind(name);
  return kind === "norms" ? "last norm" : kind;
}

/** The names of a model's parameters by block or kind, in the order in which the model has them. */
export function parameterParts(
  parameters: readonly Parameter[],
  by: "blocks" | "kinds",
): Record<string, string[]> {
  const parts: Record<string, string[]> = {};
  for (const { name } of parameters) {
    const part = by === "blocks" ? parameterBlock(name) : parameterKind(name);
    parts[part] = [...(parts[part] ?? []), name];
  }
  return parts;
}
