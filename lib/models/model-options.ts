import * as z from "zod";
import { flags, type OptionsOf, seedSchema, signalSchema } from "../options/index.js";
import { groupSchema } from "../ranks/index.js";
import type { Initialization } from "../torch/index.js";
import { adapterOption } from "./adapters/adapter-model.js";
import { type Device, deviceNames, isDevice } from "./configuration.js";
import { programOptions } from "./programs/load.js";

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
   * micro-batches. `device: "cuda"` is then the CUDA device of each rank's number on its host. Refused: `perturbation: "in-place"` and
   * Muon.
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

const initializations = ["gpt2", "normal", "pytorch", "he", "zeros"] as const satisfies Initialization[];

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

export const createSchema = z.strictObject(createShape);

export type CreateOptions = OptionsOf<typeof createShape>;
