import path from "node:path";
import * as z from "zod";
import { readText } from "../files/index.js";
import { deviceNames, isDevice } from "../models/index.js";
import { optimizerSchema } from "../optimizers/index.js";
import { badConfiguration, type ConfigurationPlace, count, section, seedSchema } from "../options/index.js";
import { searchKeys } from "../sharpness/index.js";

export const dtypeSchema = z.enum(["float32", "float64", "bfloat16"]).default("float32");

/** Where to compute. Left out: on the CPU. */
export const deviceSchema = z.string().refine(isDevice, { error: deviceNames }).optional();

export const batchSchema = section({
  /** Sequences, or examples. */
  size: count,
  /** Tokens in a sequence. Default: the model's context length, at most 1,024. */
  sequence: count.optional(),
  /** Sequences or examples at a time. Default: all. */
  microBatch: count.optional(),
  /** Whether sequences go from one document into the next, see `TokenBatches`. Default: "joined". */
  documents: z.enum(["joined", "apart"]).optional(),
  /** Where sequences begin, see `TokenBatches`. */
  sampling: z.enum(["anywhere", "epochs"]).optional(),
});

/** What every measurement with frozen weights takes: what makes Δ, and how the line along it is searched. */
export const frozenKeys = {
  /** Default: AdamW as OLMo 2 and most language models are trained, β = (0.9, 0.95), ε = 1e-8, γ = 0.1. */
  optimizer: optimizerSchema(z.number().gt(0).default(1)).prefault({
    type: "adamw",
    betas: [0.9, 0.95],
    weightDecay: 0.1,
  }),
  /** Whether γθ is in Δ, as in the optimizer's step. */
  weightDecay: z.boolean().default(true),
  search: section(searchKeys).prefault({}),
  dtype: dtypeSchema,
  device: deviceSchema,
  /** Of the order of sequences. */
  seed: seedSchema.default(0),
};

/** What stands in a configuration file, not checked yet. @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA`, `ERR_CONFIGURATION`. */
export async function readConfigurationFile(
  file: string,
): Promise<{ input: unknown; place: Required<ConfigurationPlace> }> {
  const text = await readText(file);
  try {
    const place = { file: path.basename(file), base: path.dirname(file) };
    return { input: JSON.parse(text), place };
  } catch (error) {
    const message = `Expected JSON for the configuration but received: ${(error as Error).message}`;
    throw badConfiguration(message, path.basename(file));
  }
}
