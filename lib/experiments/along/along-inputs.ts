import { existsSync, statSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { dataSchema, resolveData } from "../../data/index.js";
import { CriticalSharpnessError } from "../../errors.js";
import {
  type Batch,
  Direction,
  loadBatch,
  loadBatches,
  loadModel,
  type Model,
  type ModelOptions,
} from "../../models/index.js";
import { badConfiguration, count, explain, flags, seedSchema } from "../../options/index.js";
import { batchSchema } from "../configuration.js";
import { TrainingData } from "../training-data.js";

/** What batches of texts are cut by, besides the data's own keys. */
export const alongTextKeys = {
  batches: count
    .default(4)
    .describe("Batches of each text: several tell how far they agree.")
    .register(flags, { flag: "--batches <n>" }),
  batch: batchSchema,
  seed: seedSchema.default(0).describe("Of the order of sequences.").register(flags, { flag: "--seed <n>" }),
};

const textsSchema = z.object(alongTextKeys);
type TextOptions = z.output<typeof textsSchema>;

/** How data are read, beside their files: keys of a configuration's `data`. */
export type DataKeys = Record<string, unknown>;

/**
 * Batches of a text, as `checkpoints` cuts them: sequences in a random order, each once before any is taken again.
 *
 * @param files paths, folders and patterns
 * @param directory of the model, whose tokenizer is taken
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_DATA`, `ERR_FILE`.
 */
export async function openText(
  files: readonly string[],
  keys: DataKeys,
  { model, directory }: { model: Model; directory: string },
  { batches, batch, seed }: TextOptions,
): Promise<Batch[]> {
  const described = { ...keys, files: files.map((file) => path.resolve(file)) };
  const parsed = dataSchema.safeParse(described);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, described), undefined);
  const data = resolveData(parsed.data, { directories: [directory], absolute: (file) => path.resolve(file) });
  const use = { data, batch: { sampling: "epochs", ...batch }, seed };
  await using opened = await TrainingData.open(use as Parameters<typeof TrainingData.open>[0], model.config);
  return opened.first(batches);
}

/** The batches of a safetensors file; of a program, the one that its tensors make. */
export async function openBatches(file: string, model: Model): Promise<Batch[]> {
  if (model.config.model_type !== "program") return loadBatches(file);
  return [await loadBatch(file, { named: true })];
}

/**
 * Δ from a model to another, by what stands at the place: a PEFT adapter's folder, a model's folder, or a safetensors file with Δ
 * itself (θ − Δ is then the other).
 *
 * @throws CriticalSharpnessError `ERR_NO_CHANGE` where both are the same; those of what is opened.
 */
export async function openDirection(
  model: Model,
  place: string,
  options: ModelOptions,
  signal: AbortSignal,
): Promise<Direction> {
  const direction = await open(model, place, options, signal);
  if ((await direction.norm({ signal })) !== 0) return direction;
  direction.dispose();
  throw new CriticalSharpnessError(
    "ERR_NO_CHANGE",
    `Expected another model for "${place}" but received one with the same weights`,
  );
}

async function open(
  model: Model,
  place: string,
  options: ModelOptions,
  signal: AbortSignal,
): Promise<Direction> {
  const isFolder = existsSync(place) && statSync(place).isDirectory();
  const has = (file: string) => isFolder && existsSync(path.join(place, file));
  if (has("adapter_config.json") && !has("config.json"))
    return Direction.fromAdapter(model, place, { signal });
  if (place.endsWith(".safetensors") && !isFolder) return Direction.load(place, model, { signal });
  using other = await loadModel(place, { ...options, signal });
  return await Direction.between(model, other, { signal });
}
