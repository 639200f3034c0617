import type { Parameter } from "./parameters.js";

/** What a parameter does in its network. */
export type ParameterKind = "embeddings" | "attention" | "mlp" | "norms" | "head" | "other";

/**
 * The words of parameter names, between their dots, that tell the kind; the first row that fits decides, so that a norm
 * within attention (`self_attn.q_norm`) is a norm. They are those of gpt2, gpt_neox, llama, mistral, qwen2 and 3, olmo 1
 * to 3, gemma and phi as Hugging Face names them.
 */
const words: readonly [RegExp, ParameterKind][] = [
  [/^(ln_\w+|\w*norm)$/, "norms"],
  [/^(wte|wpe|embed_in|embed_tokens)$/, "embeddings"],
  [/^(lm_head|embed_out)$/, "head"],
  [/^(attn|self_attn|attention)$/, "attention"],
  [/^mlp$/, "mlp"],
];
/** Of our own perceptrons: every layer is one. */
const perceptron = /^layers\.\d+\.(weight|bias)$/;
const layer = /(?:^|\.)(?:h|layers)\.(\d+)\./;

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
