import { existsSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { CriticalSharpnessError, unusable } from "../../errors.js";
import { readText } from "../../files/index.js";
import { explain } from "../../options/index.js";

/** What an adapter's configuration says of the change that it makes. */
export interface AdapterConfig {
  /** Its file. */
  file: string;
  /** The model that it was made for, as Python finds it. */
  base: string | undefined;
  /** Matrices of the adapted modules are stored [in, out], as in GPT-2. */
  fanInFanOut: boolean;
  /** r of a module by its name. */
  rank(module: string): number;
  /** What B·A of a module is multiplied by: α/r, or α/√r of a rank-stabilized one. */
  scale(module: string): number;
}

export function badAdapter(file: string, what: string, received: string, cause?: unknown) {
  return unusable("ERR_ADAPTER", what, `"${file}"`, received, cause);
}

const rank = z.int().min(1);
const patterns = <Value extends z.ZodType>(value: Value) =>
  z
    .record(z.string(), value)
    .nullish()
    .transform((given) => given ?? {});

const schema = z.looseObject({
  peft_type: z.string(),
  r: rank,
  lora_alpha: z.number(),
  use_rslora: z.boolean().default(false),
  fan_in_fan_out: z.boolean().default(false),
  rank_pattern: patterns(rank),
  alpha_pattern: patterns(z.number()),
  base_model_name_or_path: z.string().nullish(),
});

/** Keys of PEFT's LoraConfig that change nothing of what the stored tensors mean: which modules were chosen, training, bookkeeping. */
const harmless = new RegExp(
  `^(${[
    "auto_mapping|peft_version|task_type|revision|inference_mode|_.*",
    "target_modules|exclude_modules|layers_to_transform|layers_pattern|modules_to_save|bias",
    "lora_dropout|megatron_core|qalora_group_size|runtime_config|eva_config|ensure_weight_tying",
  ].join("|")})$`,
);
/** First values that leave the model's own weights as they were; the others put a part of them into the adapter. */
const plainStarts: readonly unknown[] = [true, false, "gaussian", "eva", "orthogonal"];

const isUnset = (value: unknown) =>
  value === null ||
  value === false ||
  (typeof value === "object" && Object.keys(value as object).length === 0);

/**
 * Reads the `adapter_config.json` of a PEFT adapter's folder.
 *
 * @throws CriticalSharpnessError `ERR_ADAPTER` naming what changes the model and is not understood; `ERR_FILE`.
 */
export async function readAdapterConfig(folder: string): Promise<AdapterConfig> {
  const file = path.join(folder, "adapter_config.json");
  if (!existsSync(file))
    throw badAdapter(folder, "a PEFT adapter's folder", "one without adapter_config.json");
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readText(file));
  } catch (error) {
    if (error instanceof CriticalSharpnessError) throw error;
    throw badAdapter(file, "JSON", (error as Error).message, error);
  }
  refuseOthers(file, parsed);
  const { data: given, error } = schema.safeParse(parsed);
  if (error) throw new CriticalSharpnessError("ERR_ADAPTER", `${explain(error, parsed)} (in ${file})`);
  const ranks = patternsOf(file, "rank_pattern", given.rank_pattern);
  const alphas = patternsOf(file, "alpha_pattern", given.alpha_pattern);
  const rankOf = (module: string) => ranks(module) ?? given.r;
  return {
    file,
    base: given.base_model_name_or_path ?? undefined,
    fanInFanOut: given.fan_in_fan_out,
    rank: rankOf,
    scale(module) {
      const r = rankOf(module);
      return (alphas(module) ?? given.lora_alpha) / (given.use_rslora ? Math.sqrt(r) : r);
    },
  };
}

/** @throws CriticalSharpnessError for another kind of adapter, and for keys that make more of it than B·A. */
function refuseOthers(file: string, parsed: unknown): void {
  if (typeof parsed !== "object" || parsed === null) throw badAdapter(file, "an object", "another value");
  const given = parsed as Record<string, unknown>;
  const { peft_type: type, init_lora_weights: start = true } = given;
  if (type !== "LORA")
    throw badAdapter(file, 'a LoRA adapter (peft_type "LORA")', `peft_type ${JSON.stringify(type)}`);
  if (!plainStarts.includes(start))
    throw badAdapter(
      file,
      "an adapter of the model's own weights (PEFT converts one: path_initial_model_for_weight_conversion)",
      `init_lora_weights ${JSON.stringify(start)}`,
    );
  for (const [key, value] of Object.entries(given)) {
    const isKnown = Object.hasOwn(schema.shape, key) || key === "init_lora_weights" || harmless.test(key);
    if (!isKnown && !isUnset(value))
      throw badAdapter(
        file,
        "an adapter that is scale·B·A alone (merge another in Python)",
        `${key} ${JSON.stringify(value)}`,
      );
  }
}

/** PEFT's rule: the first pattern that is a module's whole name, or all of it behind a dot. */
function patternsOf(file: string, key: string, given: Record<string, number>) {
  const compiled = Object.entries(given).map(([pattern, value]) => {
    // A repeated group may take longer than anyone waits.
    if (/\)[*+{?]/.test(pattern))
      throw badAdapter(file, `patterns without repeated groups in ${key}`, JSON.stringify(pattern));
    try {
      return { pattern: new RegExp(`^(?:.*\\.)?(?:${pattern})$`), value };
    } catch (error) {
      throw badAdapter(file, `regular expressions in ${key}`, JSON.stringify(pattern), error);
    }
  });
  return (module: string) => compiled.find(({ pattern }) => pattern.test(module))?.value;
}
