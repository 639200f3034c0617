import * as z from "zod";
import { throwIfAborted } from "../errors.js";
import { flags, readOptions, seedSchema, signalSchema } from "../options/index.js";
import { type Initialization, native, withSignal } from "../torch/index.js";
import {
  configureModel,
  type Device,
  deviceNames,
  isDevice,
  type ModelConfigInput,
} from "./configuration.js";
import { Model } from "./model.js";

const dtypes = ["float32", "float64", "bfloat16"] as const;

/** Of a model that is made or loaded. */
export const modelOptions = {
  /**
   * Where its weights lie and it computes, and everything that is made of it: gradients, directions, optimizers. Batches stay
   * where they are and are copied there at their first use. Default "cpu". CUDA devices need an addon built with CUDA.
   */
  device: z
    .custom<Device>(isDevice, deviceNames)
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
};

/** @internal Options of `loadModel`. */
export const loadSchema = z.strictObject({
  ...modelOptions,
  /** Stops the call: it rejects with an AbortError and leaves nothing half done. */
  signal: signalSchema.optional(),
});

export type ModelOptions = z.input<typeof loadSchema>;

/** @internal */
export const initializations = [
  "gpt2",
  "normal",
  "pytorch",
  "he",
  "zeros",
] as const satisfies Initialization[];

const createSchema = loadSchema.extend({
  /** The same seed gives the same bits. Default 0. */
  seed: seedSchema.default(0),
  /**
   * Language models: "gpt2" (GPT-2's default) or "normal" (the others': N(0, initializer_range²), biases 0, norms 1).
   * MLP: "pytorch" (torch.nn.Linear's, the default) or "he". Any: "zeros".
   */
  initialization: z.enum(initializations).optional(),
});

export type CreateOptions = z.input<typeof createSchema>;

/**
 * Makes a model with fresh weights.
 *
 * @throws TypeError, RangeError naming the key of the configuration or option that cannot be used; CriticalSharpnessError
 * `ERR_DEVICE` where this build or this machine has no such device; AbortError.
 */
export async function createModel(config: ModelConfigInput, options: CreateOptions = {}): Promise<Model> {
  const configured = configureModel(config);
  const { dtype, parameterDtype, device, seed, signal, ...given } = readOptions(createSchema, options);
  throwIfAborted(signal);
  const initialization = given.initialization ?? configured.defaultInitialization;
  const handle = native().createModel(configured.description, dtype, parameterDtype, device);
  try {
    await withSignal(signal, (cancel) => handle.initialize(initialization, seed, { cancel }));
  } catch (error) {
    handle.dispose();
    throw error;
  }
  return new Model(handle, configured);
}
