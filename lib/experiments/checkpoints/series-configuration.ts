import path from "node:path";
import * as z from "zod";
import { hessianKeys } from "../../curvature/index.js";
import { dataSchema, resolveData } from "../../data/index.js";
import {
  badConfiguration,
  type ConfigurationPlace,
  count,
  explain,
  flags,
  name,
  section,
} from "../../options/index.js";
import { batchSchema, frozenKeys, weightKeys } from "../configuration.js";
import { checkRate, trainingKeys } from "../training-facts.js";
import type { ListedCheckpoint } from "./checkpoint-list.js";

/** What is measured of each checkpoint of a series. `null` switches a part off. */
export const seriesSchema = section({
  data: dataSchema,
  batch: batchSchema.describe(
    "Sequences are taken once before any is taken again, unless `sampling` says otherwise.",
  ),
  accumulate: count
    .default(20)
    .describe("N: batches whose gradients go into the optimizer's moments.")
    .register(flags, { flag: "--accumulate <n>" }),
  measure: count
    .default(10)
    .describe("M: batches after them that are measured.")
    .register(flags, { flag: "--measure <m>" }),
  ...trainingKeys,
  direction: name
    .nullable()
    .default(null)
    .describe("In place of an optimizer: a file with Δ, a tensor for each parameter.")
    .register(flags, { flag: "--direction <file>" }),
  program: name
    .nullable()
    .default(null)
    .describe(
      "A program, a .pt2 file, of which each checkpoint is a state_dict: a safetensors file, or a folder with model.safetensors.",
    )
    .register(flags, { flag: "--program <file>" }),
  base: name
    .nullable()
    .default(null)
    .describe("The model of which each checkpoint is a PEFT adapter.")
    .register(flags, { flag: "--base <folder>" }),
  parts: z
    .array(z.enum(["blocks", "kinds"]))
    .default([])
    .describe("λc of each layer, of each kind of parameter.")
    .register(flags, {
      flags: [
        { flag: "--per-block", value: ["blocks"], help: "λc of every layer too" },
        { flag: "--per-kind", value: ["kinds"], help: "λc of attention, MLPs, norms and embeddings too" },
      ],
    }),
  directional: z
    .boolean()
    .default(false)
    .describe("Directional sharpness λdir too.")
    .register(flags, { flag: "--directional" }),
  hessian: section(hessianKeys)
    .nullable()
    .default(null)
    .describe("Preconditioned sharpness λmax(P⁻¹H) too.")
    .register(flags, { flag: "--hessian", value: {} }),
  ...frozenKeys,
  ...weightKeys,
});

/** As config.json has it: with the checkpoints, of which more may come. */
const storedSchema = section({
  ...seriesSchema.shape,
  checkpoints: z.array(
    z.object({
      name: z.string(),
      directory: z.string(),
      step: z.number().nullable(),
      tokens: z.number().nullable(),
    }),
  ),
});

/** A series as its run has it. */
export type StoredSeries = SeriesConfiguration & { checkpoints: ListedCheckpoint[] };

/** @throws CriticalSharpnessError `ERR_CONFIGURATION`. */
export function parseStoredSeries(stored: unknown, { file }: ConfigurationPlace): StoredSeries {
  const parsed = storedSchema.safeParse(stored);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, stored), file);
  return parsed.data;
}

export type SeriesConfigurationInput = z.input<typeof seriesSchema>;
export type SeriesConfiguration = z.output<typeof seriesSchema>;

/**
 * Checks the configuration of a series and puts every default in its place. Text without a tokenizer gets that of the
 * first checkpoint that has one.
 *
 * @param base what relative paths are relative to
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`.
 */
export async function parseSeries(
  input: unknown,
  checkpoints: readonly ListedCheckpoint[],
  base = process.cwd(),
): Promise<SeriesConfiguration> {
  const parsed = seriesSchema.safeParse(input);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, input), undefined);
  const { data: given, batch, direction, program, base: model, ...rest } = parsed.data;
  for (const key of ["dtype", "parameterDtype"] as const)
    if (rest.hessian && rest[key] === "bfloat16")
      throw badConfiguration(
        `Expected "float32" or "float64" for ${key}, as hessian takes second derivatives, but received "bfloat16"`,
        undefined,
      );
  checkRate(rest);
  const absolute = (file: string) => path.resolve(base, file);
  const directories = [
    ...(model === null ? [] : [absolute(model)]),
    ...checkpoints.map(({ directory }) => directory),
  ];
  const data = resolveData(given, { directories, absolute });
  return {
    ...rest,
    data,
    batch: { sampling: "epochs", ...batch },
    direction: direction && absolute(direction),
    program: program && absolute(program),
    base: model && absolute(model),
  };
}
