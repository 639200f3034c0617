import path from "node:path";
import * as z from "zod";
import { expected } from "../../errors.js";
import { floatingDtype, floatingDtypes } from "../../files/index.js";
import { flags, seedSchema } from "../../options/index.js";
import type {
  FileTensor,
  NativeProgramDescription,
  NativeStoredTensor,
  ReadProgram,
} from "../../torch/index.js";
import type { ConfiguredModel } from "../configuration.js";
import { badModelFile, fileTensor, inOneBlock } from "../found-tensors.js";
import { findTensors } from "../weight-files.js";
import { readProgram } from "./program.js";
import { stateDictOf } from "./state-dict.js";

/** Of a program, a file of torch.export.save. */
export const programOptions = {
  /**
   * What forward returns. `loss`: the loss, a number, or one for each row, whose mean is taken. `mean-of-rows`: a number, the mean
   * of what rows give on their own, so that micro-batches add up to it. `sum-and-weight`: two numbers, whose quotient is the loss,
   * which micro-batches add up to as well. Default `loss`.
   */
  reduction: z
    .enum(["loss", "mean-of-rows", "sum-and-weight"])
    .optional()
    .describe("What a program's forward returns. Default: loss.")
    .register(flags, { flag: "--reduction <name>" }),
  /** Of a program with dropout: drawn from this seed, the same in each pass. Default: dropout is off. */
  dropoutSeed: seedSchema
    .optional()
    .describe("Of a program: draws its dropout from this seed. Default: dropout is off.")
    .register(flags, { flag: "--dropout-seed <number>" }),
  /** Weights of a program in place of its own: a safetensors file of its state_dict, or a folder with model.safetensors. */
  weights: z
    .string()
    .optional()
    .describe("Weights of a program in place of its own: safetensors of its state_dict.")
    .register(flags, { flag: "--weights <file>" }),
};

export type ProgramChoice = z.output<z.ZodObject<typeof programOptions>>;

export const isProgramFile = (file: string): boolean => file.endsWith(".pt2");

/** The options that were given. */
export const defined = (choice: ProgramChoice): ProgramChoice =>
  Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined));

const savedSchema = z.strictObject({
  model_type: z.literal("program"),
  program: z.string().min(1),
  reduction: programOptions.reduction.unwrap(),
  dropout_seed: seedSchema.nullable(),
});

/** What `save` wrote of a program into a directory's config.json; undefined: it is another model's. */
export function savedProgram(
  configuration: unknown,
  directory: string,
): { file: string; choice: ProgramChoice } | undefined {
  if ((configuration as { model_type?: unknown } | null)?.model_type !== "program") return undefined;
  const parsed = savedSchema.safeParse(configuration);
  if (!parsed.success)
    throw badModelFile(
      path.join(directory, "config.json"),
      "a program's configuration, as save writes it,",
      z.prettifyError(parsed.error),
    );
  const { program, reduction, dropout_seed: seed } = parsed.data;
  const choice = { reduction, weights: directory, ...(seed !== null && { dropoutSeed: seed }) };
  return { file: path.resolve(directory, program), choice };
}

/** @throws RangeError unless arithmetic and weights are those of the program */
export function requireDtype(
  { dtype: own }: NativeProgramDescription,
  dtypes: { dtype: string; parameterDtype?: string | undefined },
): void {
  for (const [option, given = own] of Object.entries(dtypes))
    if (given !== own)
      throw expected(`"${own}", in which the program was exported,`, `options.${option}`, given, "range");
}

/** A program as a model without weights, and where these lie. */
export async function openProgramModel(
  file: string,
  { reduction = "loss", dropoutSeed, weights }: ProgramChoice,
  signal: AbortSignal | undefined,
): Promise<{ configured: ConfiguredModel; locate: () => FileTensor[] }> {
  const program = await readProgram(file, { reduction, dropoutSeed: dropoutSeed ?? null }, signal);
  const config = {
    model_type: "program" as const,
    program: path.resolve(file),
    reduction,
    dropout_seed: dropoutSeed ?? null,
  };
  const { located, description } =
    weights === undefined
      ? { located: program.weights, description: program.description }
      : await withWeights(program, weights, signal);
  const configured = {
    config,
    file: { ...config },
    description,
    defaultInitialization: "zeros" as const,
    state: stateDictOf({ ...program, description }),
  };
  return { configured, locate: () => located };
}

/** The program with the parameters and buffers of a state_dict. */
async function withWeights(
  { description, names, buffers }: ReadProgram,
  place: string,
  signal: AbortSignal | undefined,
): Promise<{ located: FileTensor[]; description: NativeProgramDescription }> {
  const { tensors, source } = await findTensors(place, signal);
  const find = (known: readonly string[], shape: readonly number[]) => {
    const found = known.map((name) => tensors.get(name)).find((tensor) => tensor !== undefined);
    if (!found)
      throw badModelFile(source, `a tensor "${known[0]}", as the program has it,`, "none of that name");
    if (String(found.shape) !== String(shape))
      throw badModelFile(
        found.path,
        `shape [${shape}] of tensor "${found.name}", as the program has it,`,
        `[${found.shape}]`,
      );
    return found;
  };
  const located = description.parameters.map(({ name, shape }, i) => {
    const found = find(names[i] ?? [name], shape);
    const dtype = floatingDtype(found);
    if (!dtype) throw badModelFile(found.path, `${floatingDtypes} in tensor "${found.name}"`, found.dtype);
    return fileTensor(found, dtype);
  });
  const stored = [...description.stored];
  for (const { name, stored: index } of buffers) {
    const { dtype, shape } = description.stored[index] as NativeStoredTensor;
    const found = inOneBlock(find([name], shape));
    if (found.dtype !== dtype)
      throw badModelFile(found.path, `${dtype} in tensor "${name}", as the program has it,`, found.dtype);
    const strides = shape.map((_, axis) =>
      shape.slice(axis + 1).reduce((product, size) => product * size, 1),
    );
    stored[index] = { path: found.path, byteOffset: found.byteOffset, dtype, shape, strides };
  }
  return { located, description: { ...description, stored } };
}
