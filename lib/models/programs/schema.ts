import * as z from "zod";
import { CriticalSharpnessError } from "../../errors.js";
import { explain } from "../../options/index.js";
import type { NativeProgramDtype } from "../../torch/index.js";

// What torch/_export/serde/schema.py calls them. Fields that are not needed are not named, and dropped.

type Kinds = Record<string, z.ZodType>;
/** A value of one of several kinds, in the file `{ kind: value }`. Of a kind that is not read, `name` is what it is called. */
type Tagged<Shape extends Kinds> =
  | { [Kind in keyof Shape]: { kind: Kind; value: z.output<Shape[Kind]> } }[keyof Shape]
  | { kind: "other"; name: string };

function tagged<Shape extends Kinds>(kinds: Shape): z.ZodType<Tagged<Shape>> {
  return z.record(z.string(), z.unknown()).transform((input, context): Tagged<Shape> => {
    const [kind = "nothing", ...more] = Object.keys(input);
    const schema = more.length === 0 && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
    if (!schema) return { kind: "other", name: [kind, ...more].slice(0, 3).join(" and ").slice(0, 80) };
    const parsed = schema.safeParse(input[kind]);
    if (parsed.success) return { kind, value: parsed.data } as Tagged<Shape>;
    for (const issue of parsed.error.issues)
      context.issues.push({ ...issue, path: [kind, ...issue.path], input } as z.core.$ZodRawIssue);
    return z.NEVER;
  }) as unknown as z.ZodType<Tagged<Shape>>;
}

/** JSON.parse makes 2⁶³ of what PyTorch writes for the largest integer, and of those near it. */
const integer = z
  .custom<number>(
    (value) => Number.isSafeInteger(value) || value === 2 ** 63 || value === -(2 ** 63),
    "an integer (up to 2⁵³, or the largest or least of 64 bits)",
  )
  .transform((value) => value + 0);
const wordedFloats = { Infinity: Number.POSITIVE_INFINITY, "-Infinity": Number.NEGATIVE_INFINITY, NaN };
const float = z
  .union([z.number(), z.enum(["Infinity", "-Infinity", "NaN"])], "a number")
  .transform((value) => (typeof value === "string" ? wordedFloats[value] : value));
/** A name, which may stand in a message. */
const text = z.string().max(2000);
const named = z.object({ name: text });

const symbolicInteger = tagged({ as_name: text, as_int: integer });
const symbolicFloat = tagged({ as_name: text, as_float: float });
const symbolicBoolean = tagged({ as_name: text, as_bool: z.boolean() });
const optionalTensor = tagged({ as_tensor: named, as_none: z.boolean() });

/** Of nodes, of what goes into graphs and comes out. Kinds that are not here are not run. */
const argument = tagged({
  as_none: z.boolean(),
  as_tensor: named,
  as_optional_tensor: optionalTensor,
  as_tensors: z.array(named),
  as_optional_tensors: z.array(optionalTensor),
  as_int: integer,
  as_ints: z.array(integer),
  as_float: float,
  as_floats: z.array(float),
  as_bool: z.boolean(),
  as_bools: z.array(z.boolean()),
  as_string: z.string(),
  as_sym_int: symbolicInteger,
  as_sym_ints: z.array(symbolicInteger),
  as_sym_float: symbolicFloat,
  as_sym_bool: symbolicBoolean,
  as_scalar_type: integer,
  as_memory_format: integer,
  as_layout: integer,
  as_device: z.object({ type: z.string(), index: integer.nullish() }),
  as_graph: z.object({ graph: z.unknown() }),
});
export type Argument = z.output<typeof argument>;

/** What says where a node comes from; read first, for the messages about the rest. */
export const nodeHeadSchema = z.object({
  target: text,
  metadata: z.object({ stack_trace: z.string().optional() }).optional(),
});
export const nodeSchema = z.object({
  inputs: z.array(z.object({ name: text, arg: argument })),
  outputs: z.array(argument),
});
export const graphSchema = z.object({
  inputs: z.array(argument),
  outputs: z.array(argument),
  nodes: z.array(z.unknown()),
  tensor_values: z.record(z.string(), z.unknown()),
});
export type Graph = z.output<typeof graphSchema>;

const size = tagged({ as_expr: z.object({ expr_str: z.string() }), as_int: integer });
export const tensorSchema = z.object({
  dtype: integer,
  sizes: z.array(size),
  requires_grad: z.boolean(),
  strides: z.array(size),
  storage_offset: size,
  layout: integer,
});
export type TensorMeta = z.output<typeof tensorSchema>;

export const versionSchema = z.object({ schema_version: z.object({ major: integer, minor: integer }) });
export const programSchema = z.object({
  graph_module: z.object({
    graph: graphSchema,
    signature: z.object({
      input_specs: z.array(
        tagged({
          parameter: z.object({ arg: named, parameter_name: text }),
          buffer: z.object({ arg: named, buffer_name: text, persistent: z.boolean() }),
          tensor_constant: z.object({ arg: named, tensor_constant_name: text }),
          user_input: z.object({ arg: argument }),
          // A number, a word or nothing that was given to export in place of a tensor: it is in the nodes already.
          constant_input: z.object({ name: text }),
        }),
      ),
      output_specs: z.array(
        tagged({
          user_output: z.object({ arg: argument }),
          loss_output: z.object({ arg: named }),
          buffer_mutation: z.object({ arg: named }),
        }),
      ),
    }),
  }),
  range_constraints: z.record(
    z.string(),
    z.object({ min_val: integer.nullish(), max_val: integer.nullish() }),
  ),
});
export type Program = z.output<typeof programSchema>;

/** `model_weights_config.json` and `model_constants_config.json`. */
export const payloadsSchema = z.object({ config: z.record(z.string(), z.unknown()) });
export const payloadSchema = z.object({
  path_name: text,
  use_pickle: z.boolean(),
  tensor_meta: tensorSchema.nullish(),
});

/** By the codes of the file, which are not libtorch's own. */
const dtypes: Readonly<Record<number, NativeProgramDtype>> = {
  1: "uint8",
  2: "int8",
  3: "int16",
  4: "int32",
  5: "int64",
  6: "float16",
  7: "float32",
  8: "float64",
  12: "bool",
  13: "bfloat16",
};
const otherDtypes: Readonly<Record<number, string>> = {
  9: "complex32",
  10: "complex64",
  11: "complex128",
  28: "uint16",
  29: "float8_e4m3fn",
  30: "float8_e5m2",
  31: "float8_e4m3fnuz",
  32: "float8_e5m2fnuz",
  33: "float8_e8m0fnu",
  34: "uint32",
  35: "uint64",
};
export const dtypeOf = (code: number): NativeProgramDtype | undefined => dtypes[code];
export const dtypeName = (code: number): string => dtypes[code] ?? otherDtypes[code] ?? `dtype ${code}`;

const layouts = ["unknown", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "mkldnn"];
export const stridedLayout = 7;
export const layoutName = (code: number): string => layouts[code] ?? `layout ${code}`;
export const memoryFormats = [
  undefined,
  "contiguous",
  "channels_last",
  "channels_last_3d",
  "preserve",
] as const;

/** @throws CriticalSharpnessError `ERR_MODEL_FILE` with the first thing that is not as it should be; `root` is what is read, `place` where. */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root: string,
  place: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ ...issue, path: [root, ...issue.path] }));
  throw new CriticalSharpnessError(
    "ERR_MODEL_FILE",
    `${explain(new z.ZodError(issues as z.core.$ZodIssue[]), { [root]: value })} (in ${place})`,
  );
}
