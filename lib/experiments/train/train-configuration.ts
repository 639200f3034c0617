import path from "node:path";
import * as z from "zod";
import { hessianKeys } from "../../curvature/index.js";
import { dataSchema, resolveData } from "../../data/index.js";
import { modelOptions } from "../../models/index.js";
import { optimizerSchema } from "../../optimizers/index.js";
import {
  badConfiguration,
  type ConfigurationPlace,
  count,
  explain,
  flags,
  schemaKey,
  section,
  seedSchema,
} from "../../options/index.js";
import { landscapeKeys, measureKeys } from "../../sharpness/index.js";
import { batchSchema, readConfigurationFile, weightKeys } from "../configuration.js";
import { type ModelSource, modelKey, resolveModel } from "../model-source.js";
import { inSteps, makeSchedule, scheduleSchema, stepSchedule } from "../schedule.js";

/** The file that `critical-sharpness train` takes, see `TrainConfiguration`. `null` switches a part off. */
export const trainSchema = section({
  $schema: schemaKey,
  model: modelKey,
  dtype: modelOptions.dtype,
  device: modelOptions.device,
  ...weightKeys,
  buffers: z
    .enum(["frozen", "moved"])
    .default("frozen")
    .describe(
      "Of a program: whether a batch norm's running statistics move with every step, by one more pass, as PyTorch's do.",
    ),
  gradientClipping: z
    .number()
    .gt(0)
    .nullable()
    .default(null)
    .describe(
      "Largest norm of a gradient that goes into the optimizer; a longer one is scaled to it. `null`: any.",
    )
    .register(flags, { flag: "--gradient-clipping <x>" }),
  data: dataSchema,
  batch: batchSchema.describe("What goes into the batch of a step."),
  optimizer: optimizerSchema(
    z.number().gt(0).describe("η, the schedule's highest.").register(flags, { flag: "--learning-rate <x>" }),
  ),
  schedule: scheduleSchema.default({ type: "constant", warmup: 0 }).describe("How η changes over the steps."),
  steps: count.describe("Steps in all.").register(flags, { flag: "--steps <n>" }),
  seed: seedSchema
    .default(0)
    .describe("Of initial weights, data order and synthetic data.")
    .register(flags, { flag: "--seed <n>" }),
  measure: section({
    every: count
      .default(1)
      .describe("Measured at the first step and at every step that is a multiple of this.")
      .register(flags, {
        flag: "--every <n>",
        help: "measure at every n-th step; 0 = never",
        never: { measure: null, landscape: null },
      }),
    ...measureKeys,
  })
    .nullable()
    .prefault({})
    .describe("How λc is measured; `null`: not."),
  landscape: section({
    step: count.optional().describe("Default: the middle of the stable phase, or of the run."),
    ...landscapeKeys,
  })
    .nullable()
    .prefault({})
    .describe("The loss along the Δ of one step; `null`: none."),
  hessian: section({
    every: count
      .default(50)
      .describe("Measured at the first step and at every step that is a multiple of this.")
      .register(flags, {
        flag: "--hessian-every <n>",
        help: "measure Hessian eigenvalues at every n-th step; 0 = never",
        never: { hessian: null },
      }),
    ...hessianKeys,
  })
    .nullable()
    .default(null)
    .describe("Second derivatives too; `null`: none."),
  validation: section({
    every: count.default(50).describe("At every step that is a multiple of this, and at the last."),
    batches: count.default(4).describe("Batches, fewer if there are fewer."),
    fraction: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.1)
      .describe("Part of the data, its end, that is not trained on."),
  })
    .nullable()
    .default(null)
    .describe("The loss of other data; `null`: none."),
  checkpoint: section({
    every: count.default(100).describe("Written at every step that is a multiple of this, and at the last."),
    keep: z
      .boolean()
      .optional()
      .describe(
        "Keep each of them, as checkpoints/step100 and so on: a series for `critical-sharpness checkpoints`.",
      ),
  })
    .prefault({})
    .describe("From what a stopped run goes on."),
});

/** What a training run is: what stands in its file, see `trainSchema` for each key. */
export type TrainConfigurationInput = Omit<z.input<typeof trainSchema>, "model"> & { model: ModelSource };

type Parsed = z.output<typeof trainSchema>;
/** The same with every default in its place and every path absolute. */
export type TrainConfiguration = Omit<Parsed, "model" | "landscape" | "$schema"> & {
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

function resolve({ $schema: _, ...parsed }: Parsed, base: string): TrainConfiguration {
  const absolute = (file: string) => path.resolve(base, file);
  const model = resolveModel(parsed.model, parsed.seed, absolute);
  const directories = "directory" in model ? [model.directory as string] : [];
  const data = resolveData(parsed.data, { directories, absolute });
  // Made here for its checks: a schedule longer than the run is an error now, not at the first step.
  makeSchedule(parsed, parsed.optimizer.learningRate);
  const { landscape, steps, hessian, dtype } = parsed;
  if (parsed.schedule.type === "critical" && parsed.measure === null)
    throw new RangeError(
      "Expected it to be measured for measure, as the schedule takes ηc, but received null",
    );
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

type Timed = Pick<z.output<typeof trainSchema>, "schedule" | "optimizer" | "steps">;

/** The middle of the stable phase, or of the run where the schedule has none. */
export function middleStep({ schedule: given, steps }: Timed): number {
  const schedule = stepSchedule(given);
  const isStable = schedule.type === "warmup-stable-decay";
  const first = isStable ? inSteps(schedule.warmup, "schedule.warmup", steps) : 0;
  const last = isStable ? steps - inSteps(schedule.decay, "schedule.decay", steps) : steps;
  return Math.max(1, Math.ceil((first + last) / 2));
}
