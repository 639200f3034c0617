import { throwIfAborted } from "../errors.js";
import { checkChoice, checkNumber, checkOptions } from "../options/index.js";
import {
  type ComputeDtype,
  type Initialization,
  native,
  type ParameterDtype,
  type SignalOptions,
  signalOf,
  stoppable,
} from "../torch/index.js";

import { checkDevice, configureModel, type Device, type ModelConfigInput } from "./configuration.js";

import { Model } from "./model.js";

export interface ModelOptions extends SignalOptions {
  /**
   * Where its weights lie and it computes, and everything that is made of it: gradients, directions, optimizers. Batches stay
   * where they are and are copied there at their first use. Default "cpu". CUDA devices need an addon built with CUDA.
   */
  device?: Device;
  /** Arithmetic: `bfloat16` multiplies in bfloat16. Default float32. */
  dtype?: ComputeDtype;
  /**
   * Weights as they are held. Default: float64 with the dtype float64, else float32. `bfloat16` halves their memory and takes
   * checkpoints of that precision as they lie in the file; it is for measurements: optimizers accumulate, but do not step, and
   * there are no second derivatives. Gradients and directions of such a model are float32. With the dtype float32, θ − η·Δ is
   * made in float32 exactly; with bfloat16, a layer computes x·θᵀ − η·(x·Δᵀ), so that steps count that θ has no digits for.
   */
  parameterDtype?: ParameterDtype;
}

export interface CreateOptions extends ModelOptions {
  /** The same seed gives the same bits. Default 0. */
  seed?: number;
  /**
   * Language models: "gpt2" (GPT-2's default) or "normal" (the others': N(0, initializer_range²), biases 0, norms 1).
   * MLP: "pytorch" (torch.nn.Linear's, the default) or "he". Any: "zeros".
   */
  initialization?: Initialization;
}

const dtypes = ["float32", "float64", "bfloat16"] as const;

/** @internal */
export const initializations = [
  "gpt2",
  "normal",
  "pytorch",
  "he",
  "zeros",
] as const satisfies Initialization[];

/**
 * Makes a model with fresh weights.
 *
 * @throws TypeError, RangeError naming the key of the configuration or option that cannot be used; CriticalSharpnessError
 * `ERR_DEVICE` where this build or this machine has no such device; AbortError.
 */
export async function createModel(config: ModelConfigInput, options: CreateOptions = {}): Promise<Model> {
  const configured = configureModel(config);
  const { dtype, parameterDtype, device } = checkModelOptions(options);
  const seed =
    options.seed === undefined ? 0 : checkNumber(options.seed, "options.seed", { minimum: 0, integer: true });
  const initialization =
    options.initialization === undefined
      ? configured.defaultInitialization
      : checkChoice(options.initialization, "options.initialization", initializations);
  const handle = native().createModel(configured.description, dtype, parameterDtype, device);
  try {
    await stoppable(options, (cancel) => handle.initialize(initialization, seed, cancel));
  } catch (error) {
    handle.dispose();
    throw error;
  }
  return new Model(handle, configured);
}

/** @internal */
export function checkModelOptions(options: unknown): {
  dtype: ComputeDtype;
  parameterDtype: ParameterDtype | undefined;
  device: Device | undefined;
} {
  const { device, dtype, parameterDtype } = checkOptions(options, "options");
  throwIfAborted(signalOf(options));
  return {
    dtype: dtype === undefined ? "float32" : checkChoice(dtype, "options.dtype", dtypes),
    parameterDtype:
      parameterDtype === undefined
        ? undefined
        : checkChoice(parameterDtype, "options.parameterDtype", dtypes),
    device: device === undefined ? undefined : checkDevice(device, "options.device"),
  };
}
