import type * as z from "zod";
import { expected, throwIfAborted } from "../errors.js";
import { checkString, readOptions } from "../options/index.js";
import { type Group, nativeGroup } from "../ranks/index.js";
import {
  type FileTensor,
  type NativeModel,
  type NativeModelDescription,
  native,
  ownSignal,
  withSignal,
} from "../torch/index.js";
import { type AdaptedModel, type adapterOption, adaptModel } from "./adapters/adapter-model.js";
import { places, untie, withParts } from "./checkpoint-weights.js";
import { type ConfiguredModel, configureModel, type ModelConfigInput } from "./configuration.js";
import { olmoCoreConfiguration } from "./families/olmo-core.js";
import { Model } from "./model.js";
import {
  type CreateOptions,
  createSchema,
  loadSchema,
  type ModelOptions,
  type modelOptions,
} from "./model-options.js";
import { select } from "./parameters.js";
import {
  defined,
  isProgramFile,
  openProgramModel,
  type ProgramChoice,
  requireDtype,
  savedProgram,
} from "./programs/load.js";
import { isTorchWeights, nanogptConfiguration } from "./torch-weights.js";
import { findTensors, readConfiguration } from "./weight-files.js";

/**
 * Makes a model with fresh weights.
 *
 * @throws TypeError, RangeError naming the key of the configuration or option that cannot be used; CriticalSharpnessError
 * `ERR_DEVICE` where this build or this machine has no such device; AbortError.
 */
export async function createModel(config: ModelConfigInput, options: CreateOptions = {}): Promise<Model> {
  const configured = configureModel(config);
  const { seed, signal: given, initialization: chosen, ...placement } = readOptions(createSchema, options);
  const signal = ownSignal(given, { ranks: placement.group?.size ?? 1 });
  throwIfAborted(signal);
  const initialization = chosen ?? configured.defaultInitialization;
  const handle = nativeModel(configured.description, placement);
  try {
    await withSignal(signal, (cancel) => handle.initialize(initialization, seed, { cancel }));
  } catch (error) {
    handle.dispose();
    throw error;
  }
  return new Model(handle, configured);
}

/**
 * Opens a Hugging Face directory: `config.json` and `model.safetensors`, or shards with `model.safetensors.index.json`; where there are
 * none, `pytorch_model.bin`, its shards, or a checkpoint of torch.distributed, whose pickles are read by a machine that calls nothing. As
 * in transformers 5, a head that the configuration ties to the embedding and whose numbers differ from it stays a parameter of its own.
 *
 * Or a program, any model of PyTorch's whose forward returns a loss, as torch.export.save writes it: a `.pt2` file, or the directory
 * that `save` made of one. Its arithmetic is its own (`dtype` must be that of its parameters), its batches are `Batch.named`, and
 * what it has no gradient for is frozen, unless `trainable` says otherwise.
 *
 * Or a checkpoint of nanoGPT's, `ckpt.pt`, or a step's folder of OLMo-core's.
 *
 * Weights of the model's own precision are memory-mapped, copy-on-write; others are converted. A mapped file must not be cut
 * short or overwritten while the model lives: the system ends a process that reads a page which is gone. Replacing it by
 * another of its name is safe, and is what `save` does.
 *
 * @throws CriticalSharpnessError `ERR_MODEL_FILE`, `ERR_SAFETENSORS`, `ERR_FILE` naming file and tensor; `ERR_PROGRAM` naming an
 * operator and its line; `ERR_DEVICE`; AbortError.
 */
export async function loadModel(place: string, options: ModelOptions = {}): Promise<Model> {
  checkString(place, "place");
  const { signal: given, ...rest } = readOptions(loadSchema, options);
  const { reduction, dropoutSeed, weights, adapter, ...placement } = rest;
  const signal = ownSignal(given, { ranks: placement.group?.size ?? 1 });
  throwIfAborted(signal);
  const opened = await open(place, { reduction, dropoutSeed, weights }, signal);
  const adapted = adapter === undefined ? undefined : await adaptedOf(place, opened.configured, adapter);
  const handle = nativeModel(adapted?.description ?? opened.configured.description, {
    ...placement,
    trainable: placement.trainable ?? (adapted && [...adapted.places.keys()]),
  });
  try {
    const located = opened.locate(handle, adapted?.places ?? new Map());
    await withSignal(signal, (cancel) =>
      handle.load(located, { cancel, ...(adapted && { seed: adapted.seed }) }),
    );
  } catch (error) {
    handle.dispose();
    throw error;
  }
  return new Model(handle, { ...opened.configured, adapter: adapted });
}

async function adaptedOf(
  base: string,
  configured: ConfiguredModel,
  adapter: z.output<typeof adapterOption>,
): Promise<AdaptedModel> {
  // Its parameters are known once it is made; nothing is held for them before they are loaded.
  const plain = new Model(nativeModel(configured.description, { dtype: "float32" }), configured);
  try {
    const adapted = await adaptModel(configured, plain.parameters, adapter);
    return {
      ...adapted,
      file: { ...adapted.file, base_model_name_or_path: adapted.file.base_model_name_or_path ?? base },
    };
  } finally {
    plain.dispose();
  }
}

/** A model that is found, and where its parameters lie. */
interface Opened {
  configured: ConfiguredModel;
  /** `others`: of parameters that come from elsewhere. */
  locate(handle: NativeModel, others: ReadonlyMap<string, FileTensor | null>): (FileTensor | null)[];
}

async function open(place: string, choice: ProgramChoice, signal: AbortSignal | undefined): Promise<Opened> {
  if (isProgramFile(place)) return openProgramModel(place, choice, signal);
  const configuration = isTorchWeights(place)
    ? await nanogptConfiguration(place, signal)
    : await readModelConfiguration(place);
  const saved = savedProgram(configuration, place);
  if (saved) return openProgramModel(saved.file, { ...saved.choice, ...defined(choice) }, signal);
  const [given] = Object.entries(choice).find(([, value]) => value !== undefined) ?? [];
  if (given !== undefined)
    throw expected(
      "it for a program, a .pt2 file, alone",
      `options.${given}`,
      `a model of "${place}"`,
      "range",
    );
  const plain = configureModel(configuration);
  const found = withParts(await findTensors(place, signal), plain.checkpoint);
  const { configured, copies } = await untie(plain, found, signal);
  return {
    configured,
    locate: (handle, others) => places(handle, found, { checkpoint: configured.checkpoint, copies, others }),
  };
}

/** Hugging Face's, or OLMo-core's own as it stands in a step's folder. */
async function readModelConfiguration(directory: string): Promise<unknown> {
  const configuration = await readConfiguration(directory);
  return olmoCoreConfiguration(configuration) ?? configuration;
}

/** A model without weights yet. */
function nativeModel(
  description: NativeModelDescription,
  {
    dtype,
    parameterDtype,
    device,
    trainable,
    group,
  }: z.output<z.ZodObject<typeof modelOptions>> & { group?: Group },
): NativeModel {
  const make = (chosen?: readonly boolean[]) =>
    native().createModel(description, dtype, parameterDtype, device, chosen, nativeGroup(group));
  if (description.kind === "program") requireDtype(description, { dtype, parameterDtype });
  if (trainable === undefined && description.kind === "program")
    return make(description.parameters.map((parameter) => parameter.trainable));
  const whole = make();
  if (trainable === undefined) return whole;
  try {
    return make(select(whole.parameters, trainable, "options.trainable"));
  } finally {
    whole.dispose();
  }
}
