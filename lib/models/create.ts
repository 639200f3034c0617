import * as z from "zod";
import { expected, throwIfAborted } from "../errors.js";
import {
  checkString,
  flags,
  type OptionsOf,
  readOptions,
  seedSchema,
  signalSchema,
} from "../options/index.js";
import { checkGroupDevice, type Group, groupSchema, nativeGroup } from "../ranks/index.js";
import {
  type FileTensor,
  type Initialization,
  type NativeModel,
  type NativeModelDescription,
  native,
  ownSignal,
  withSignal,
} from "../torch/index.js";
import { type AdaptedModel, adapterOption, adaptModel } from "./adapters/adapter-model.js";
import { places, untie, withParts } from "./checkpoint-weights.js";
import {
  type ConfiguredModel,
  configureModel,
  type Device,
  deviceNames,
  isDevice,
  type ModelConfigInput,
} from "./configuration.js";
import { olmoCoreConfiguration } from "./families/olmo-core.js";
import { Model } from "./model.js";
import { select } from "./parameters.js";
import {
  defined,
  isProgramFile,
  openProgramModel,
  type ProgramChoice,
  programOptions,
  requireDtype,
  savedProgram,
} from "./programs/load.js";
import { isTorchWeights, nanogptConfiguration } from "./torch-weights.js";
import { findTensors, readConfiguration } from "./weight-files.js";

const dtypes = ["float32", "float64", "bfloat16"] as const;

/** @internal */
export const trainableSchema = z
  .array(z.string())
  .min(1)
  .describe("The parameters that are not frozen, by names in which * stands for anything. Default: all.")
  .register(flags, { flag: "--trainable <names...>" });

/** Of a model that is made or loaded. */
export const modelOptions = {
  /**
   * Where its weights lie and it computes, and everything that is made of it: gradients, directions, optimizers. Batches stay
   * where they are and are copied there at their first use. Default "cpu". CUDA devices need an addon built with CUDA.
   */
  device: (z.string().refine(isDevice, deviceNames) as z.ZodType<Device, Device>)
    .optional()
    .describe("Where to compute: cpu, cuda, cuda:1. Default: the processor.")
    .register(flags, { flag: "--device <name>" }),
  /** Arithmetic: `bfloat16` multiplies in bfloat16. Default float32. */
  dtype: z
    .enum(dtypes)
    .default("float32")
    .describe("Arithmetic of a pass.")
    .register(flags, { flag: "--dtype <type>" }),
  /**
   * Weights as they are held. Default: float64 with the dtype float64, else float32. `bfloat16` halves their memory and takes
   * checkpoints of that precision as they lie in the file; it is for measurements: optimizers accumulate, but do not step, and
   * there are no second derivatives. Gradients and directions of such a model are float32. With the dtype float32, θ − η·Δ is
   * made in float32 exactly; with bfloat16, a layer computes x·θᵀ − η·(x·Δᵀ), so that steps count that θ has no digits for.
   */
  parameterDtype: z
    .enum(dtypes)
    .optional()
    .describe("Of the weights as they are held. Default: float64 with the dtype float64, else float32.")
    .register(flags, { flag: "--parameter-dtype <type>" }),
  /**
   * The parameters that are not frozen, by names in which `*` stands for anything. A frozen one is a constant: gradients,
   * optimizers' states, Δ and Hessians are of the others alone, and take memory for them alone. Default: all.
   */
  trainable: trainableSchema.optional(),
};

const stoppableShape = {
  ...modelOptions,
  /**
   * The ranks that share the model, of `joinGroup`. Each keeps a part of its matrices; losses, gradients, directions and steps have the
   * bits of one process. A model without layers that are known (an MLP, a program) is whole on every rank, which takes its share of the
   * micro-batches. Refused: `perturbation: "in-place"`, Muon, adapters as directions, CUDA.
   */
  group: groupSchema.optional(),
  /** Stops the call: it rejects with an AbortError and leaves nothing half done. */
  signal: signalSchema.optional(),
};

/** @internal Options of `loadModel`. */
const loadShape = {
  ...stoppableShape,
  ...programOptions,
  /**
   * A PEFT LoRA adapter beside a language model's projections: its folder, or a new one, as LoraConfig says it (`rank`, `alpha`,
   * `targets`: ends of modules' names). Its A and B are the parameters, with what `modules_to_save` brings; the model's own are frozen,
   * unless `trainable` says otherwise. `save` writes the adapter alone, in PEFT's layout.
   */
  adapter: adapterOption.optional(),
};

export const loadSchema = z.strictObject(loadShape);

export type ModelOptions = OptionsOf<typeof loadShape>;

/** @internal */
export const initializations = [
  "gpt2",
  "normal",
  "pytorch",
  "he",
  "zeros",
] as const satisfies Initialization[];

const createShape = {
  ...stoppableShape,
  /** The same seed gives the same bits. Default 0. */
  seed: seedSchema.default(0),
  /**
   * Language models: "gpt2" (GPT-2's default) or "normal" (the others': N(0, initializer_range²), biases 0, norms 1).
   * MLP: "pytorch" (torch.nn.Linear's, the default) or "he". Any: "zeros".
   */
  initialization: z.enum(initializations).optional(),
};

const createSchema = z.strictObject(createShape);

export type CreateOptions = OptionsOf<typeof createShape>;

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
  checkGroupDevice(group, device);
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
