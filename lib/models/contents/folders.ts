import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { AbortError, CriticalSharpnessError } from "../../errors.js";
import { metadataFile, notAModel, readDistributedCheckpoint } from "../../files/index.js";
import { readJson } from "../weight-files.js";
import { type Contents, emptyContents, type ListOptions, list } from "./contents.js";
import { inspectFile, inspectShards, kinds, unopened } from "./files.js";

/** Files of a training run that are opened in a folder. */
const torchFiles = /\.(pt|pth|ckpt)$|^(optimizer|scheduler|pytorch_model|adapter_model)[\w-]*\.bin$/;
const adapterKeys = [
  "peft_type",
  "base_model_name_or_path",
  "r",
  "lora_alpha",
  "target_modules",
  "use_rslora",
  "use_dora",
  "fan_in_fan_out",
  "modules_to_save",
];
const modelKeys = ["model_type", "architectures", "hidden_size", "num_hidden_layers", "vocab_size", "dtype"];
const stateKeys = ["global_step", "max_steps", "epoch", "train_batch_size"];

/** What a folder holds, each file or checkpoint in it a part. What is refused there is a part too, with the reason. */
export async function inspectFolder(directory: string, options: ListOptions): Promise<Contents> {
  const names = (await readdir(directory)).sort();
  if (names.includes(metadataFile)) return inspectCheckpoint(directory, options);
  const facts = await factsOf(directory, names);
  const contents = emptyContents(directory, kindOf(names), facts);
  contents.notOpened = names.flatMap((file) => {
    const reason = unopened.find(([pattern]) => pattern.test(file))?.[1];
    return reason === undefined ? [] : [{ file, reason }];
  });
  const add = async (part: string, read: () => Promise<Contents>) => {
    contents.parts.push(await refusable(path.join(directory, part), read));
  };
  const shards = "model.safetensors.index.json";
  const isSharded = names.includes(shards) && !names.includes("model.safetensors");
  if (isSharded) await add(shards, () => inspectShards(directory, path.join(directory, shards), options));
  for (const name of names) {
    const place = path.join(directory, name);
    if (contents.notOpened.some(({ file }) => file === name)) continue;
    const isOfShards = isSharded && /^model-\d+-of-\d+\.safetensors$/.test(name);
    if ((name.endsWith(".safetensors") && !isOfShards) || torchFiles.test(name) || name.endsWith(".pt2"))
      await add(name, () => inspectFile(place, options));
    else if (existsSync(path.join(place, metadataFile)))
      await add(name, () => inspectCheckpoint(place, options));
  }
  if (contents.parts.length > 0 || names.includes("trainer_state.json")) return contents;
  throw new CriticalSharpnessError(
    "ERR_FILE",
    `Expected ${kinds} for "${directory}" but received ${await notAModel(directory)}`,
  );
}

async function inspectCheckpoint(directory: string, options: ListOptions): Promise<Contents> {
  const contents = emptyContents(directory, "a checkpoint of torch.distributed");
  return list(contents, await readDistributedCheckpoint(directory, options), options);
}

function kindOf(names: readonly string[]): string {
  if (names.includes("trainer_state.json")) return "a checkpoint of transformers' Trainer";
  if (names.includes("adapter_config.json")) return "a PEFT adapter";
  if (names.includes("model_and_optim")) return "a checkpoint of OLMo-core";
  return names.includes("config.json") ? "a model" : "a folder";
}

/** What the folder's JSON files say. */
async function factsOf(directory: string, names: readonly string[]): Promise<Record<string, unknown>> {
  const read = async (name: string, keys: readonly string[]): Promise<Record<string, unknown>> => {
    if (!names.includes(name)) return {};
    const json = (await readJson(path.join(directory, name))) as Record<string, unknown> | null;
    return Object.fromEntries(
      keys.flatMap((key) => (json && Object.hasOwn(json, key) ? [[key, json[key]]] : [])),
    );
  };
  const { log_history: log, ...state } = await read("trainer_state.json", [...stateKeys, "log_history"]);
  const logged = Array.isArray(log) ? log.findLast((entry) => entry?.loss !== undefined) : undefined;
  return {
    ...(await read("config.json", modelKeys)),
    ...(await read("adapter_config.json", adapterKeys)),
    ...state,
    ...(logged && { last_logged: logged }),
  };
}

/** What is read, or why it is not. */
async function refusable(place: string, read: () => Promise<Contents>): Promise<Contents> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CriticalSharpnessError) || error instanceof AbortError) throw error;
    return { ...emptyContents(place, "refused"), refused: error.message };
  }
}
