import path from "node:path";
import * as z from "zod";
import { dataSchema, resolveData } from "../../data/index.js";
import {
  badConfiguration,
  type ConfigurationPlace,
  count,
  explain,
  flags,
  section,
} from "../../options/index.js";
import { measureKeys } from "../../sharpness/index.js";
import { batchSchema, frozenKeys, weightKeys } from "../configuration.js";
import { type ModelSource, modelKey, resolveModel } from "../model-source.js";
import { checkRate, trainingKeys } from "../training-facts.js";

const estimatedMethod = measureKeys.method
  .unwrap()
  .default("estimated")
  .describe("Of the search.")
  .register(flags, { flag: "--method <name>" });

/** What is asked of a learning rate. */
export const checkSchema = section({
  model: modelKey,
  data: dataSchema,
  batch: batchSchema.describe("What goes into the batch of a step, as the training has it."),
  ...trainingKeys,
  gradientClipping: z
    .number()
    .gt(0)
    .nullable()
    .default(null)
    .describe("Largest norm of a gradient that goes into the optimizer, as the training has it. `null`: any.")
    .register(flags, { flag: "--gradient-clipping <x>" }),
  accumulate: count
    .default(10)
    .describe("Batches whose gradients fill the optimizer's moments, where the run left none.")
    .register(flags, { flag: "--accumulate <n>" }),
  batches: count
    .max(64)
    .default(4)
    .describe("Batches that are measured; of them together, and of halves of them, λc at larger batch sizes.")
    .register(flags, { flag: "--batches <n>" }),
  points: z
    .int()
    .min(0)
    .max(1000)
    .default(5)
    .describe("Losses along Δ besides, of each batch, for the picture.")
    .register(flags, { flag: "--points <n>" }),
  trial: z
    .int()
    .min(0)
    .max(1000)
    .default(6)
    .describe("Steps of warm-up to η that are tried, and undone, bit for bit.")
    .register(flags, { flag: "--trial <n>" }),
  ...frozenKeys,
  search: section({ ...measureKeys, method: estimatedMethod })
    .prefault({})
    .describe("How λc is measured."),
  ...weightKeys,
});

export type CheckConfigurationInput = Omit<z.input<typeof checkSchema>, "model"> & { model: ModelSource };
export type CheckConfiguration = Omit<z.output<typeof checkSchema>, "model"> & { model: ModelSource };

/**
 * Checks a configuration and puts every default in its place, and every path absolute.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`.
 */
export function parseCheck(
  input: unknown,
  { file, base = process.cwd() }: ConfigurationPlace = {},
): CheckConfiguration {
  const parsed = checkSchema.safeParse(input);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, input), file);
  const { data } = parsed;
  checkRate(data);
  if (data.trial > 0 && data.parameterDtype === "bfloat16")
    throw badConfiguration(
      'Expected "float32" for parameterDtype, as the trial makes steps, or 0 for trial but received "bfloat16", in which most steps would be lost',
      file,
    );
  const absolute = (place: string) => path.resolve(base, place);
  try {
    const model = resolveModel(data.model, data.seed, absolute);
    const directories = "directory" in model ? [model.directory as string] : [];
    return { ...data, model, data: resolveData(data.data, { directories, absolute }) };
  } catch (error) {
    throw badConfiguration((error as Error).message, file);
  }
}
