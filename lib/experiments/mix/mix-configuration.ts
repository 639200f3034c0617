import path from "node:path";
import * as z from "zod";
import { dataSchema, ownTokenizer, resolveData } from "../../data/index.js";
import { usualAccumulation } from "../../optimizers/index.js";
import {
  badConfiguration,
  type ConfigurationPlace,
  explain,
  flags,
  schemaKey,
  section,
} from "../../options/index.js";
import { batchSchema, frozenKeys, readConfigurationFile } from "../configuration.js";

const count = z.int().min(1);
const name = z.string().min(1);
const ratios = z.array(z.number().min(0).max(1)).min(1);
const tenths = Array.from({ length: 11 }, (_, i) => i / 10);

/** What `critical-sharpness mix` takes. */
export const mixSchema = section({
  $schema: schemaKey,
  model: name.describe("The checkpoint's directory."),
  sources: z
    .record(
      name,
      section({
        data: dataSchema,
        share: z
          .number()
          .gt(0)
          .default(1)
          .describe("Of the tokens, in any unit, of those that are not varied."),
      }),
    )
    .describe(
      "What the mixture is made of, by name; `share`: of the tokens, in any unit, of those that are not varied.",
    ),
  vary: name.describe("The source whose ratio is swept."),
  ratios: ratios.default(tenths).describe("What the varied source makes up of the mixture."),
  tasks: z
    .record(name, section({ data: dataSchema }))
    .default({})
    .describe("Data that judge beside the sources, each of which is judged by its own held-out end."),
  withoutTask: z.array(name).default([]).describe("Sources that do not judge."),
  batch: batchSchema.omit({ sampling: true }).describe("What goes into one batch of the mixture."),
  evaluate: section({
    size: count.optional().describe("Sequences in a task's batch. Default: twice the update batch's."),
    fraction: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.2)
      .describe("Part of each source, its end, that is not in the mixture."),
  })
    .prefault({})
    .describe("The batches that judge."),
  accumulate: count
    .optional()
    .describe(
      "N: gradients in the moments of each repeat. Default: 1 where Δ is made of the last one alone, else 20.",
    )
    .register(flags, { flag: "--accumulate <n>" }),
  repeats: count
    .default(8)
    .describe("Repeats, each over further batches; more may follow later.")
    .register(flags, { flag: "--repeats <n>" }),
  ...frozenKeys,
  train: section({
    ratios: ratios.optional().describe("Default: those of the sweep."),
    learningRates: z
      .array(z.number().gt(0))
      .min(1)
      .optional()
      .describe(
        "Default: six, from a quarter of the smallest ηc at any ratio's worst task to four times the largest.",
      ),
    steps: count.default(20).describe("Steps of that training.").register(flags, { flag: "--steps <n>" }),
    batches: count.default(4).describe("Held-out batches of each task that judge."),
    choices: z
      .record(
        name,
        section({
          files: z.array(name).min(1).describe("JSON Lines."),
          limit: count.optional().describe("Only so many questions, the first."),
        }),
      )
      .default({})
      .describe(
        'Multiple-choice files, by name: {"question", "choices", "answer"} a line; `limit`: only so many, the first.',
      ),
  })
    .prefault({})
    .describe("The validation: training at each ratio and learning rate, from the checkpoint."),
});

export type MixConfigurationInput = z.input<typeof mixSchema>;
type Parsed = z.output<typeof mixSchema>;
/** The same with every default in its place and every path absolute. */
export type MixConfiguration = Omit<Parsed, "$schema" | "accumulate"> & { accumulate: number };

/**
 * Checks the configuration of a mix and puts every default in its place. Text without a tokenizer gets the model's.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`.
 */
export async function parseMix(
  input: unknown,
  { base = process.cwd(), file }: ConfigurationPlace = {},
): Promise<MixConfiguration> {
  const parsed = mixSchema.safeParse(input);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, input), file);
  const { $schema: _, ...given } = parsed.data;
  check(given, file);
  const absolute = (name: string) => path.resolve(base, name);
  const model = absolute(given.model);
  const place = { directories: [model], absolute };
  const resolve = <T extends { data: Parsed["sources"][string]["data"] }>(all: Record<string, T>) => {
    const found: Record<string, T> = {};
    for (const [name, one] of Object.entries(all))
      found[name] = { ...one, data: resolveData(one.data, place) };
    return found;
  };
  const { optimizer, train } = given;
  const usual = usualAccumulation(optimizer);
  const choices = Object.entries(train.choices).map(([name, one]) => [
    name,
    { ...one, files: one.files.map(absolute) },
  ]);
  return {
    ...given,
    model,
    sources: resolve(given.sources),
    tasks: resolve(given.tasks),
    accumulate: given.accumulate ?? usual,
    train: { ...train, choices: Object.fromEntries(choices) },
  };
}

/** Reads a configuration file. Paths in it are relative to it. @throws CriticalSharpnessError `ERR_FILE`, `ERR_CONFIGURATION`. */
export async function readMix(
  file: string,
  override: (input: unknown) => unknown = (input) => input,
): Promise<MixConfiguration> {
  const { input, place } = await readConfigurationFile(file);
  return parseMix(override(input), place);
}

function check({ sources, vary, ratios, tasks, withoutTask, train }: Parsed, file: string | undefined): void {
  const names = Object.keys(sources);
  const bad = (what: string, subject: string, received: unknown) =>
    badConfiguration(`Expected ${what} for ${subject} but received ${JSON.stringify(received)}`, file);
  if (names.length < 2) throw bad("at least two sources", "sources", names);
  if (!names.includes(vary)) throw bad(`one of ${names.join(", ")}`, "vary", vary);
  for (const name of withoutTask)
    if (!names.includes(name)) throw bad(`names of sources`, "withoutTask", name);
  for (const name of Object.keys(tasks))
    if (names.includes(name)) throw bad("names that no source has", "tasks", name);
  if (Object.keys(tasks).length === 0 && names.every((name) => withoutTask.includes(name)))
    throw bad("at least one task", "tasks", []);
  for (const [key, list] of [
    ["ratios", ratios],
    ["train.ratios", train.ratios ?? []],
    ["train.learningRates", train.learningRates ?? []],
  ] as const)
    if (list.some((value, i) => i > 0 && value <= (list[i - 1] as number)))
      throw bad("ascending numbers, each once,", key, list);
}

/** The tokenizer of multiple-choice files: the model's own. */
export const choiceTokenizer = ({ model }: MixConfiguration) => ownTokenizer([model]);
