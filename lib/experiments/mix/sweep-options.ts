import * as z from "zod";
import { expected } from "../../errors.js";
import { modelSchema } from "../../models/index.js";
import { usualAccumulation } from "../../optimizers/index.js";
import { callback, count, type OptionsOf, readOptions, signalSchema } from "../../options/index.js";
import { type MeasureOptions, measureOf, measureOptions } from "../../sharpness/index.js";
import {
  type BatchSource,
  batchesOf,
  batchSourceSchema,
  optimizerChoice,
} from "../checkpoints/frozen-options.js";
import type { MixSource } from "./gradients.js";
import type { MixSweepEvent } from "./sweep.js";

/** From 0 to 1, ascending and each once. */
export const ratiosSchema = z
  .array(z.number().min(0).max(1))
  .min(1)
  .readonly()
  .superRefine((ratios, context) => {
    const at = ratios.findIndex((ratio, i) => i > 0 && ratio <= (ratios[i - 1] as number));
    if (at > 0)
      context.addIssue({ code: "custom", message: `a number > ${ratios[at - 1]} and ≤ 1`, path: [at] });
  });

const shareSchema = z.strictObject({ share: z.number().gt(0), batches: batchSourceSchema });

const sweepShape = {
  model: modelSchema,
  /**
   * What mixtures are made of: the source whose ratio is swept, and the rest, one source or several by name with their shares of
   * it. A mixture's batch has as many rows as the varied source's batch of that place, and takes the first ones of each source's:
   * their order should be random. A source of the rest needs no more rows than it gives at the smallest ratio.
   */
  update: z.strictObject({
    varied: batchSourceSchema,
    rest: z.custom<BatchSource | Record<string, { share: number; batches: BatchSource }>>(
      (value) => typeof value === "function" || (typeof value === "object" && value !== null),
      "an array of batches, a function, or sources by name with their shares",
    ),
  }),
  /** Batches of each task, by name: one for each repeat. They should be data that no update batch holds. */
  evaluate: z.record(z.string(), batchSourceSchema),
  /** From 0 to 1, ascending: what the varied source makes up of the mixture. */
  ratios: ratiosSchema,
  /** N: gradients in the moments of each repeat. Default: 1 where Δ is made of the last one alone, else 20. */
  accumulate: count.optional(),
  /** Repeats, each over further batches. Default 8. */
  repeats: count.default(8),
  /** Where repeats begin to count, for a sweep that goes on. Default 0. */
  firstRepeat: z.int().min(0).default(0),
  /** What makes Δ. */
  optimizer: optimizerChoice,
  /** Whether γθ of the optimizer's weight decay is in Δ. Default true. */
  weightDecay: z.boolean().default(true),
  signal: signalSchema.optional(),
  /** Called for each event, in order. What it throws ends the sweep. */
  onProgress: callback<(event: MixSweepEvent) => void>().default(() => () => {}),
};

const sweepSchema = z.strictObject({ ...measureOptions, ...sweepShape });

export interface MixSweepOptions extends MeasureOptions, OptionsOf<typeof sweepShape> {}
export type CheckedMixSweep = ReturnType<typeof checkMixSweep>;

export function checkMixSweep(options: unknown) {
  const { evaluate, update, ...given } = readOptions(sweepSchema, options);
  const { ratios, repeats, firstRepeat, accumulate = usualAccumulation(given.optimizer) } = given;
  const last = firstRepeat + repeats;
  const tasks = Object.entries(evaluate);
  if (tasks.length === 0) throw expected("at least one task", "options.evaluate", "none", "range");
  return {
    ...given,
    accumulate,
    sources: sourcesOf(update, ratios, last * accumulate),
    tasks: tasks.map(
      ([name, source]) => [name, batchesOf(source, `options.evaluate.${name}`, last)] as const,
    ),
    search: measureOf(given),
  };
}

/** The varied source and the rest, with their shares at each ratio. */
function sourcesOf(
  { varied, rest }: MixSweepOptions["update"],
  ratios: readonly number[],
  needed: number,
): MixSource[] {
  const first = {
    name: "the varied source",
    batchAt: batchesOf(varied, "options.update.varied", needed),
    shares: ratios,
  };
  const subject = "options.update.rest";
  if (typeof rest === "function" || Array.isArray(rest)) {
    const batchAt = batchesOf(rest, subject, needed);
    return [first, { name: "the rest of the mixture", batchAt, shares: ratios.map((ratio) => 1 - ratio) }];
  }
  const parts = Object.entries(rest).map(([name, part]) => {
    const { share, batches } = readOptions(shareSchema, part, `${subject}.${name}`);
    return { name, share, batchAt: batchesOf(batches, `${subject}.${name}.batches`, needed) };
  });
  if (parts.length === 0) throw expected("at least one source", subject, "none", "range");
  const total = parts.reduce((sum, { share }) => sum + share, 0);
  return [
    first,
    ...parts.map(({ name, share, batchAt }) => ({
      name: `the source "${name}"`,
      batchAt,
      shares: ratios.map((ratio) => (share / total) * (1 - ratio)),
    })),
  ];
}
