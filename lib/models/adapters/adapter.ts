import { existsSync } from "node:fs";
import path from "node:path";
import {
  floatingDtype,
  floatingDtypes,
  readSafetensorsHeader,
  type StoredTensor,
} from "../../files/index.js";
import { type AdapterConfig, badAdapter, readAdapterConfig } from "./adapter-config.js";

/** The change that an adapter makes to one matrix: scale·B·A. */
export interface AdapterPair {
  /** The parameter's name as PEFT has it, "model.layers.0.self_attn.q_proj.weight". */
  name: string;
  /** [rank, in] */
  A: StoredTensor;
  /** [out, rank] */
  B: StoredTensor;
  rank: number;
  scale: number;
  /** Whether the matrix that changes is (B·A)ᵀ: of embeddings, and where weights are stored [in, out]. Of linear layers see `orientation`. */
  transposed: boolean;
}

/** A parameter that the adapter brings whole, of `modules_to_save` and of trained biases. */
export interface SavedParameter {
  name: string;
  tensor: StoredTensor;
}

/** A PEFT LoRA adapter as its folder has it; of no model yet. */
export interface Adapter {
  config: AdapterConfig;
  /** Where the tensors lie. */
  file: string;
  pairs: AdapterPair[];
  saved: SavedParameter[];
}

const tensorName = /^base_model\.model\.(.+)\.lora_(embedding_)?([AB])(\.weight)?$/;

/**
 * Reads a PEFT adapter's folder: its configuration, and where the tensors of `adapter_model.safetensors` lie. No number is read.
 *
 * @throws CriticalSharpnessError `ERR_ADAPTER`, `ERR_SAFETENSORS`, `ERR_FILE` naming the file and what of it cannot be used.
 */
export async function readAdapter(folder: string): Promise<Adapter> {
  const config = await readAdapterConfig(folder);
  const file = path.join(folder, "adapter_model.safetensors");
  if (!existsSync(file)) refusePickle(folder, file);
  const { tensors } = await readSafetensorsHeader(file);
  const halves = new Map<string, { A?: StoredTensor; B?: StoredTensor; isEmbedding: boolean }>();
  const saved: SavedParameter[] = [];
  for (const tensor of tensors.values()) {
    if (!floatingDtype(tensor))
      throw badAdapter(file, `${floatingDtypes} in tensor "${tensor.name}"`, tensor.dtype);
    const [, module, embedding, half] = tensorName.exec(tensor.name) ?? [];
    if (module === undefined) saved.push({ name: savedName(file, tensor.name), tensor });
    else {
      const found = halves.get(module) ?? { isEmbedding: embedding !== undefined };
      halves.set(module, { ...found, [half as "A" | "B"]: tensor });
    }
  }
  const pairs = [...halves].map(([module, { A, B, isEmbedding }]) => {
    if (!A || !B) throw badAdapter(file, `lora_A and lora_B of "${module}"`, `lora_${A ? "A" : "B"} alone`);
    const rank = config.rank(module);
    for (const [{ name, shape }, axis] of [
      [A, 0],
      [B, 1],
    ] as const)
      if (shape.length !== 2 || shape[axis] !== rank)
        throw badAdapter(
          file,
          `a matrix of rank ${rank}, as adapter_config.json says, in tensor "${name}"`,
          `shape [${shape}]`,
        );
    const transposed = isEmbedding || config.fanInFanOut;
    return { name: `${module}.weight`, A, B, rank, scale: config.scale(module), transposed };
  });
  if (pairs.length + saved.length === 0) throw badAdapter(file, "tensors", "none");
  return { config, file, pairs, saved };
}

/** The parameter's name of a tensor that is no half of a pair. */
function savedName(file: string, name: string): string {
  const plain = /^base_model\.model\.(.+)$/.exec(name)?.[1];
  if (plain === undefined || /(^|\.)lora_|\.token_adapter\./.test(plain))
    throw badAdapter(
      file,
      "tensors base_model.model.….lora_A.weight, ….lora_B.weight and of modules_to_save",
      `"${name}"`,
    );
  return plain.replace(".base_layer.", ".").replace(/\.modules_to_save\.(default\.)?/, ".");
}

function refusePickle(folder: string, file: string): never {
  const pickle = existsSync(path.join(folder, "adapter_model.bin"));
  throw badAdapter(
    file,
    "an adapter's tensors in safetensors",
    pickle
      ? 'only "adapter_model.bin", which may run code when it is opened: in Python PeftModel.from_pretrained(…).save_pretrained(folder) converts it'
      : "nothing of that name",
  );
}
