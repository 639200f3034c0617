import { readFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { expected } from "../../errors.js";
import { floatingDtype, type StoredTensor } from "../../files/index.js";
import { count, names, seedSchema } from "../../options/index.js";
import type { FileTensor, NativeDecoderDescription } from "../../torch/index.js";
import type { ConfiguredModel } from "../configuration.js";
import type { Parameter } from "../parameters.js";
import { type Adapter, readAdapter } from "./adapter.js";
import { parameterOf } from "./adapter-changes.js";
import { badAdapter } from "./adapter-config.js";

/** A new adapter, as PEFT's LoraConfig says one. */
export const freshAdapterSchema = z.strictObject({
  /** r */
  rank: count,
  /** α: what B·A is multiplied by is α/r. Default: the rank. */
  alpha: z.number().gt(0).optional(),
  /** The modules that are adapted, by the ends of their names: "q_proj". */
  targets: names,
  /** Whether it is α/√r. Default false. */
  rankStabilized: z.boolean().default(false),
  /** Of A; B is 0 at the start. Default 0. */
  seed: seedSchema.default(0),
});

export const adapterOption = z.union([z.string().min(1), freshAdapterSchema]);

/** What an adapter makes of a model, besides its weights. */
export interface AdaptedModel {
  description: NativeDecoderDescription;
  /** Of each parameter that the adapter brings, where it lies; null: it is drawn. */
  places: ReadonlyMap<string, FileTensor | null>;
  seed: number;
  /** As PEFT's adapter_config.json has it. */
  file: Record<string, unknown>;
}

const matrixOf = (pair: string) => pair.replace(/\.weight$/, "");

/**
 * A decoder with an adapter beside its projections, whose A and B are parameters.
 *
 * @param parameters the model's without it
 * @throws CriticalSharpnessError `ERR_ADAPTER`; RangeError for a model that can have none.
 */
export async function adaptModel(
  configured: ConfiguredModel,
  parameters: readonly Parameter[],
  given: z.output<typeof adapterOption>,
): Promise<AdaptedModel> {
  const { description } = configured;
  if (description.kind !== "decoder")
    throw expected("it for a language model alone", "options.adapter", `a ${description.kind}`, "range");
  if (typeof given !== "string") return freshAdapter(description, parameters, given);
  const adapter = await readAdapter(given);
  const tied = description.names.head === undefined;
  const places = new Map<string, FileTensor | null>();
  const adapters = adapter.pairs.map((pair) => {
    const module = matrixOf(
      requireParameter(adapter, parameters, pair.name, [pair.B.shape[0], pair.A.shape[1]]),
    );
    places.set(`${module}.lora_A.weight`, placeOf(adapter, pair.A));
    places.set(`${module}.lora_B.weight`, placeOf(adapter, pair.B));
    return { module, rank: pair.rank, scale: pair.scale };
  });
  for (const { name, tensor } of adapter.saved) {
    const own = requireParameter(adapter, parameters, name, tensor.shape);
    if (tied && own === `${description.names.embedding}.weight`)
      throw badAdapter(
        adapter.file,
        "an adapter that leaves a tied embedding alone",
        `one that brings "${name}"`,
      );
    places.set(own, placeOf(adapter, tensor));
  }
  const file = JSON.parse(await readFile(path.join(given, "adapter_config.json"), "utf8"));
  return { description: { ...description, adapters }, places, seed: 0, file };
}

/** The name of the model's parameter, which must have the shape, or its transpose. */
function requireParameter(
  adapter: Adapter,
  parameters: readonly Parameter[],
  name: string,
  shape: readonly (number | undefined)[],
): string {
  const parameter = parameterOf(adapter, { parameters }, name);
  const isAlike = [shape, [...shape].reverse()].some((one) => String(one) === String(parameter.shape));
  if (!isAlike)
    throw badAdapter(
      adapter.file,
      `shape [${parameter.shape}], that of the model's "${parameter.name}",`,
      `[${shape}]: the adapter is another model's`,
    );
  return parameter.name;
}

function placeOf({ file }: Adapter, tensor: StoredTensor): FileTensor {
  const dtype = floatingDtype(tensor);
  if (!dtype) throw badAdapter(file, "floating-point numbers", tensor.dtype);
  return { path: file, byteOffset: tensor.byteOffset, dtype };
}

function freshAdapter(
  description: NativeDecoderDescription,
  parameters: readonly Parameter[],
  { rank, alpha = rank, targets, rankStabilized, seed }: z.output<typeof freshAdapterSchema>,
): AdaptedModel {
  const inLayers = parameters.filter(
    ({ name, shape }) => shape.length === 2 && name.startsWith(description.names.layers),
  );
  const modules = inLayers.map(({ name }) => matrixOf(name));
  const isChosen = (module: string) =>
    targets.some((target) => module === target || module.endsWith(`.${target}`));
  const unknown = targets.find(
    (target) => !modules.some((one) => one === target || one.endsWith(`.${target}`)),
  );
  if (unknown !== undefined)
    throw expected("ends of names of the layers' projections", "options.adapter.targets", unknown, "range");
  const scale = alpha / (rankStabilized ? Math.sqrt(rank) : rank);
  const chosen = modules.filter(isChosen);
  const places = new Map<string, null>();
  for (const module of chosen)
    for (const half of ["A", "B"]) places.set(`${module}.lora_${half}.weight`, null);
  return {
    description: { ...description, adapters: chosen.map((module) => ({ module, rank, scale })) },
    places,
    seed,
    file: {
      ...{
        peft_type: "LORA",
        task_type: "CAUSAL_LM",
        r: rank,
        lora_alpha: alpha,
        use_rslora: rankStabilized,
      },
      ...{ target_modules: targets, fan_in_fan_out: description.storage === "in_out", bias: "none" },
      ...{ inference_mode: true, lora_dropout: 0, init_lora_weights: true },
    },
  };
}

/** What PEFT calls a parameter of an adapted model in adapter_model.safetensors. */
export const peftName = (name: string): string => `base_model.model.${name}`;
