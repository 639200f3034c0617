import { checkChoice, checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import { native } from "../native/load.js";
import type { ComputeDtype, Initialization } from "../native/surface.js";
import { configureModel, type ModelConfigInput } from "./configuration.js";
import { Model } from "./model.js";

export interface ModelOptions {
  /** Where it computes. This build has "cpu". */
  device?: "cpu";
  /** Arithmetic: `bfloat16` multiplies in bfloat16 and keeps float32 master weights. Default float32. */
  dtype?: ComputeDtype;
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
 * @throws TypeError, RangeError naming the key of the configuration or option that cannot be used.
 */
export async function createModel(config: ModelConfigInput, options: CreateOptions = {}): Promise<Model> {
  const configured = configureModel(config);
  const { dtype } = checkModelOptions(options);
  const seed =
    options.seed === undefined ? 0 : checkNumber(options.seed, "options.seed", { minimum: 0, integer: true });
  const initialization =
    options.initialization === undefined
      ? configured.defaultInitialization
      : checkChoice(options.initialization, "options.initialization", initializations);
  const handle = native().createModel(configured.description, dtype);
  try {
    await handle.initialize(initialization, seed);
  } catch (error) {
    handle.dispose();
    throw error;
  }
  return new Model(handle, configured);
}

/** @internal */
export function checkModelOptions(options: unknown): { dtype: ComputeDtype } {
  const { device, dtype } = checkOptions(options, "options");
  if (device !== undefined && device !== "cpu")
    throw expected('"cpu"', "options.device", device, typeof device === "string" ? "range" : "type");
  return {
    dtype:
      dtype === undefined
        ? "float32"
        : checkChoice(dtype, "options.dtype", ["float32", "float64", "bfloat16"]),
  };
}
