import path from "node:path";
import type * as z from "zod";
import { checkChoice } from "../checks.js";
import { configureModel, type ModelConfigInput } from "../models/configuration.js";
import type { Initialization } from "../native/surface.js";
import { badConfiguration, explain } from "./configuration-errors.js";
import { type ConfigurationPlace, readConfigurationFile } from "./configuration-file.js";
import { seedSchema, trainSchema } from "./configuration-schema.js";
import { resolveData } from "./resolve-data.js";
import { makeSchedule, middleStep } from "./schedule.js";

/** A model to begin with: a directory to load, or a configuration with the seed and scheme of its first weights. */
export type ModelSource =
  | { directory: string }
  | (ModelConfigInput & { seed?: number; initialization?: Initialization });

/** What a training run is: what stands in its file, see `trainSchema` for each key. */
export type TrainConfigurationInput = Omit<z.input<typeof trainSchema>, "model"> & { model: ModelSource };

type Parsed = z.output<typeof trainSchema>;
/** The same with every default in its place and every path absolute. */
export type TrainConfiguration = Omit<Parsed, "model" | "landscape"> & {
  model: ModelSource;
  landscape: (NonNullable<Parsed["landscape"]> & { step: number }) | null;
};

/**
 * Checks a configuration and puts every default in its place. What it gives is a configuration again, and the same.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`: "Expected … for optimizer.betas[1] but received 1.5 (in run.json)".
 */
export function parseConfiguration(input: unknown, place: ConfigurationPlace = {}): TrainConfiguration {
  const parsed = trainSchema.safeParse(input);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, input), place.file);
  try {
    return resolve(parsed.data, place.base ?? process.cwd());
  } catch (error) {
    throw badConfiguration((error as Error).message, place.file);
  }
}

/**
 * Reads a configuration file. Paths in it are relative to it.
 *
 * @param override changes what was read before it is checked.
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_CONFIGURATION`.
 */
export async function readConfiguration(
  file: string,
  override: (input: unknown) => unknown = (input) => input,
): Promise<TrainConfiguration> {
  const { input, place } = await readConfigurationFile(file);
  return parseConfiguration(override(input), place);
}

function resolve(parsed: Parsed, base: string): TrainConfiguration {
  const absolute = (file: string) => path.resolve(base, file);
  const model = resolveModel(parsed.model, parsed.seed, absolute);
  const directories = "directory" in model ? [model.directory as string] : [];
  const data = resolveData(parsed.data, { directories, absolute });
  // Made here for its checks: a schedule longer than the run is an error now, not at the first step.
  makeSchedule(parsed);
  const { landscape, steps, hessian, dtype } = parsed;
  if (hessian && dtype === "bfloat16")
    throw new RangeError(
      'Expected "float32" or "float64" for dtype, as hessian takes second derivatives, but received "bfloat16"',
    );
  const step = landscape?.step ?? middleStep(parsed);
  if (step > steps)
    throw new RangeError(`Expected a step ≤ ${steps} for landscape.step but received ${step}`);
  return {
    ...parsed,
    data,
    model,
    landscape: landscape && { ...landscape, step },
  };
}

function resolveModel(
  model: Record<string, unknown>,
  seed: number,
  absolute: (file: string) => string,
): ModelSource {
  if ("directory" in model) {
    const { directory, ...rest } = model;
    const [other] = Object.keys(rest);
    if (typeof directory !== "string" || directory === "")
      throw new TypeError(`Expected a path for model.directory but received ${JSON.stringify(directory)}`);
    if (other !== undefined)
      throw new TypeError(`Expected no key beside it for model.directory but received "${other}"`);
    return { directory: absolute(directory) };
  }
  const { seed: own = seed, initialization, ...config } = model;
  const checkedSeed = seedSchema.safeParse(own);
  if (!checkedSeed.success)
    throw new TypeError(`Expected an integer ≥ 0 for model.seed but received ${JSON.stringify(own)}`);
  if (initialization !== undefined)
    checkChoice(initialization, "model.initialization", ["gpt2", "normal", "pytorch", "he", "zeros"]);
  try {
    configureModel(config);
  } catch (error) {
    const { message } = error as Error;
    throw new TypeError(
      message.replace(" for config.", " for model.").replace("the model configuration", "model"),
    );
  }
  return { ...model, seed: checkedSeed.data } as ModelSource;
}
