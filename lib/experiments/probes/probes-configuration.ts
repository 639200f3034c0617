import path from "node:path";
import type * as z from "zod";
import {
  badConfiguration,
  type ConfigurationPlace,
  count,
  explain,
  flags,
  name,
  section,
} from "../../options/index.js";
import { frozenKeys, weightKeys } from "../configuration.js";

const { search, dtype, device } = frozenKeys;

/** How the probes of a training are measured. */
export const probesSchema = section({
  probes: name.describe("The folder into which the training writes its probes."),
  program: name
    .nullable()
    .default(null)
    .describe("The program, a .pt2 file, that is trained; `null`: each probe is a Hugging Face model.")
    .register(flags, { flag: "--program <file>" }),
  microBatch: count
    .nullable()
    .default(null)
    .describe("Rows or sequences at a time: bounds the memory; `null`: all at once.")
    .register(flags, { flag: "--micro-batch <n>" }),
  ...{ search, dtype, device },
  ...weightKeys,
});

export type ProbesConfigurationInput = z.input<typeof probesSchema>;
export type ProbesConfiguration = z.output<typeof probesSchema>;

/**
 * Checks a configuration and puts every default in its place.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`.
 */
export function parseProbes(
  input: unknown,
  { file, base = process.cwd() }: ConfigurationPlace = {},
): ProbesConfiguration {
  const parsed = probesSchema.safeParse(input);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, input), file);
  const { probes, program, ...rest } = parsed.data;
  return { ...rest, probes: path.resolve(base, probes), program: program && path.resolve(base, program) };
}
