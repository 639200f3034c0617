import { floatingDtype, floatingDtypes } from "../files/index.js";
import type { FileTensor, NativeModel } from "../torch/index.js";
import { type ConfiguredModel, configureModel } from "./configuration.js";
import type { Checkpoint } from "./families/settings.js";
import {
  badModelFile,
  type FoundTensor,
  type FoundTensors,
  fileTensor,
  inOneBlock,
} from "./found-tensors.js";
import { sameNumbers } from "./weight-files.js";

/** The same, with the parameters in place of what holds several of them. */
export function withParts(found: FoundTensors, checkpoint: Checkpoint | undefined): FoundTensors {
  if (!checkpoint?.parts) return found;
  const tensors = new Map<string, FoundTensor>();
  const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  for (const tensor of found.tensors.values()) {
    let { byteOffset } = tensor;
    const parts = checkpoint.parts(tensor.name, tensor.shape);
    if (parts) inOneBlock(tensor);
    for (const part of parts ?? [tensor]) {
      const byteLength = (tensor.byteLength / count(tensor.shape)) * count(part.shape);
      tensors.set(part.name, { ...tensor, ...part, shape: [...part.shape], byteOffset, byteLength });
      byteOffset += byteLength;
    }
  }
  return { ...found, tensors };
}

/** What a tensor of the model may be called in the files: by its name, another one, or without the prefix of models with a head. */
function find(
  name: string,
  { tensors }: FoundTensors,
  { prefix, aliases }: Checkpoint,
): FoundTensor | undefined {
  const bare = name.startsWith(prefix) ? name.slice(prefix.length) : name;
  return [name, aliases?.[name], bare].map((n) => tensors.get(n as string)).find((t) => t !== undefined);
}

interface Untied {
  configured: ConfiguredModel;
  /** Tensors of the tied head, which are the embedding once more. */
  copies: ReadonlySet<string>;
}

/**
 * The configuration that the weights have: where it ties the head to the embedding but the files hold another head, that of a
 * model with a head of its own.
 */
export async function untie(
  configured: ConfiguredModel,
  found: FoundTensors,
  signal: AbortSignal | undefined,
): Promise<Untied> {
  const { description, checkpoint } = configured;
  const none: Untied = { configured, copies: new Set() };
  if (description.kind !== "decoder" || description.names.head !== undefined || !checkpoint) return none;
  const embedding = find(`${description.names.embedding}.weight`, found, checkpoint);
  const heads = headNames(checkpoint).flatMap((name) => found.tensors.get(name) ?? []);
  if (!embedding) return none; // the head takes its place
  const copies = new Set<string>();
  for (const head of heads) {
    if (!(await sameNumbers(embedding, head, signal)))
      return { configured: configureModel(untied(configured.file, checkpoint)), copies };
    copies.add(head.name);
  }
  return { configured, copies };
}

const headNames = ({ head = "lm_head.weight", aliases }: Checkpoint) => [head, ...Object.keys(aliases ?? {})];

const untied = (file: Record<string, unknown>, checkpoint: Checkpoint) =>
  checkpoint.untied?.(file) ?? { ...file, tie_word_embeddings: false };

/** What is known of a checkpoint's tensors besides their names. */
interface Known {
  checkpoint: Checkpoint | undefined;
  /** Tensors of a tied head. */
  copies: ReadonlySet<string>;
  /** Of parameters that come from elsewhere, where they lie; null: nowhere yet. */
  others: ReadonlyMap<string, FileTensor | null>;
}

/** Where each of the model's parameters lies. */
export function places(
  handle: NativeModel,
  found: FoundTensors,
  { checkpoint, copies, others }: Known,
): (FileTensor | null)[] {
  const { tensors, source } = found;
  const used = new Set<string>(copies);
  const names = handle.parameters.map(({ name }) => name);
  const heads = checkpoint ? headNames(checkpoint) : [];
  const tied = !names.some((name) => heads.includes(name));
  const located = handle.parameters.map(({ name, shape }, index): FileTensor | null => {
    const other = others.get(name);
    if (other !== undefined) {
      used.add(find(name, found, checkpoint ?? { prefix: "" })?.name ?? name);
      return other;
    }
    // A tied embedding may be there as the head alone: transformers ties them either way.
    const asHead = tied && index === 0 ? heads.map((head) => tensors.get(head)).find((t) => t) : undefined;
    const tensor = find(name, found, checkpoint ?? { prefix: "" }) ?? asHead;
    if (!tensor)
      throw badModelFile(
        source,
        heads.includes(name)
          ? `a tensor "${name}" (or tie_word_embeddings: true in config.json, if the embedding is the head)`
          : `a tensor "${name}"`,
        "none of that name",
      );
    used.add(tensor.name);
    const dtype = floatingDtype(tensor);
    if (!dtype)
      throw badModelFile(
        tensor.path,
        `${floatingDtypes} in tensor "${tensor.name}" (weights that are not quantized)`,
        tensor.dtype,
      );
    if (String(tensor.shape) !== String(shape))
      throw badModelFile(
        tensor.path,
        `shape [${shape}] of tensor "${tensor.name}", as config.json says,`,
        `[${tensor.shape}]`,
      );
    return fileTensor(tensor, dtype);
  });
  // Old checkpoints carry masks and frequencies.
  const surplus = [...tensors.values()].find(
    ({ name }) => !used.has(name) && !checkpoint?.buffers?.test(`.${name}`),
  );
  if (surplus !== undefined)
    throw badModelFile(surplus.path, "only tensors that the model of config.json has", `"${surplus.name}"`);
  return located;
}
