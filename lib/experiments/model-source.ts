import * as z from "zod";
import {
  adapterOption,
  configureModel,
  createModel,
  loadModel,
  type Model,
  type ModelConfigInput,
  type ModelOptions,
} from "../models/index.js";
import { checkChoice, explain, seedSchema } from "../options/index.js";
import type { Group } from "../ranks/index.js";
import type { Initialization } from "../torch/index.js";
import { modelOptionsOf } from "./configuration.js";

/** A model to begin with: a directory to load, or a configuration with the seed and scheme of its first weights. */
export type ModelSource =
  | { directory: string }
  | (ModelConfigInput & { seed?: number; initialization?: Initialization });

/** Where a configuration says it, checked by `resolveModel`. */
export const modelKey = z
  .record(z.string(), z.unknown())
  .describe(
    '{"directory": …} with an `adapter` to be trained if need be, or a model\'s config.json with a `seed` and an `initialization` of its own if need be.',
  );

/** Whose model, and how its weights are held. */
export type SourcedModel = { model: ModelSource } & Parameters<typeof modelOptionsOf>[0];

/**
 * The model of a configuration, its paths absolute.
 *
 * @param seed of its first weights, where it has none of its own
 * @throws TypeError naming the key.
 */
export function resolveModel(
  model: Record<string, unknown>,
  seed: number,
  absolute: (file: string) => string,
): ModelSource {
  if ("directory" in model) {
    const { directory, adapter, ...rest } = model;
    const [other] = Object.keys(rest);
    if (typeof directory !== "string" || directory === "")
      throw new TypeError(`Expected a path for model.directory but received ${JSON.stringify(directory)}`);
    if (other !== undefined)
      throw new TypeError(`Expected no key beside it for model.directory but received "${other}"`);
    return {
      directory: absolute(directory),
      ...(adapter === undefined ? {} : { adapter: resolveAdapter(adapter, absolute) }),
    };
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

function resolveAdapter(adapter: unknown, absolute: (file: string) => string) {
  const parsed = adapterOption.safeParse(adapter);
  if (!parsed.success)
    throw new TypeError(explain(parsed.error, adapter).replace(/for (?=\S)/, "for model.adapter."));
  return typeof parsed.data === "string" ? absolute(parsed.data) : parsed.data;
}

/** Those of a checkpoint, or those that a run begins with. */
export function loadWeights(
  configuration: SourcedModel,
  checkpoint: string | undefined,
  group?: Group,
): Promise<Model> {
  const { model } = configuration;
  const options = { ...modelOptionsOf(configuration), group };
  const { directory, adapter } = model as { directory?: string; adapter?: ModelOptions["adapter"] };
  // A checkpoint of an adapter's training is the adapter.
  if (directory !== undefined && adapter !== undefined)
    return loadModel(directory, { ...options, adapter: checkpoint ?? adapter });
  if (checkpoint !== undefined) return loadModel(checkpoint, options);
  if ("directory" in model) return loadModel(model.directory as string, options);
  const { seed, initialization, ...config } = model;
  const { reduction: _, dropoutSeed: __, weights: ___, ...placement } = options;
  return createModel(config as ModelConfigInput, { ...placement, seed, initialization });
}
