import path from "node:path";
import * as z from "zod";
import { readText } from "../files/index.js";
import { type ModelOptions, modelOptions, programOptions, trainableSchema } from "../models/index.js";
import { optimizerSchema, usualOptimizer } from "../optimizers/index.js";
import {
  badConfiguration,
  type ConfigurationPlace,
  count,
  flags,
  section,
  seedSchema,
} from "../options/index.js";
import { measureKeys } from "../sharpness/index.js";

export const batchSchema = section({
  size: count.describe("Sequences, or examples, in a batch.").register(flags, { flag: "--batch-size <n>" }),
  sequence: count
    .optional()
    .describe("Tokens in a sequence. Default: the model's context length, at most 1,024.")
    .register(flags, { flag: "--sequence <n>" }),
  microBatch: count
    .optional()
    .describe("Sequences or examples at a time: bounds the memory. Default: all.")
    .register(flags, { flag: "--micro-batch <n>" }),
  documents: z
    .enum(["joined", "apart"])
    .optional()
    .describe('Whether sequences go from one document into the next, see `TokenBatches`. Default: "joined".')
    .register(flags, {
      flag: "--apart",
      value: "apart",
      help: "no sequence goes from one document into the next",
    }),
  sampling: z.enum(["anywhere", "epochs"]).optional().describe("Where sequences begin, see `TokenBatches`."),
}).describe("What goes into one batch.");

/** What every measurement with frozen weights takes: what makes Δ, and how the line along it is searched. */
export const frozenKeys = {
  optimizer: optimizerSchema(
    z.number().gt(0).default(1).describe("Only what those of groups are relative to."),
  )
    .prefault(usualOptimizer)
    .describe("What makes Δ. Default: as OLMo 2 and most language models are trained."),
  weightDecay: z
    .boolean()
    .default(true)
    .describe("Whether γθ is in Δ, as in the optimizer's step.")
    .register(flags, {
      flag: "--no-weight-decay",
      help: "leave the weight decay's γθ out of Δ",
    }),
  search: section(measureKeys).prefault({}).describe("How λc is measured."),
  dtype: modelOptions.dtype,
  device: modelOptions.device,
  seed: seedSchema.default(0).describe("Of the order of sequences.").register(flags, { flag: "--seed <n>" }),
};

/** How weights are held and their gradients made. */
export const weightKeys = {
  parameterDtype: z
    .enum(["float32", "float64", "bfloat16"])
    .nullable()
    .default(null)
    .describe("Of the weights as they are held; `null`: as `loadModel` has it.")
    .register(flags, { flag: "--parameter-dtype <type>" }),
  recompute: z
    .boolean()
    .default(false)
    .describe("Gradients with activation recomputation: less memory, a third more time.")
    .register(flags, { flag: "--recompute" }),
  trainable: trainableSchema
    .nullable()
    .default(null)
    .describe("The parameters that are not frozen, by names in which `*` stands for anything; `null`: all.")
    .register(flags, { flag: "--trainable <names...>" }),
  reduction: programOptions.reduction
    .unwrap()
    .nullable()
    .default(null)
    .describe("What a program's forward returns, see `loadModel`; `null`: the loss.")
    .register(flags, { flag: "--reduction <name>" }),
  dropoutSeed: seedSchema
    .nullable()
    .default(null)
    .describe("Of a program: draws its dropout from this seed; `null`: dropout is off.")
    .register(flags, { flag: "--dropout-seed <number>" }),
};

/** Those of a configuration's keys that are options of a model. */
export function modelOptionsOf({
  dtype,
  device,
  parameterDtype,
  trainable,
  reduction,
  dropoutSeed,
}: {
  [K in "dtype" | "device" | keyof typeof weightKeys]?: unknown;
}): ModelOptions {
  return {
    dtype,
    device,
    parameterDtype: parameterDtype ?? undefined,
    trainable: trainable ?? undefined,
    reduction: reduction ?? undefined,
    dropoutSeed: dropoutSeed ?? undefined,
  } as ModelOptions;
}

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
