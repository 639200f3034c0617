import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { findDataFiles } from "../data/find-files.js";
import { badConfiguration, explain } from "./configuration-errors.js";
import { type DataSection, dataSchema } from "./configuration-schema.js";

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
  return !["tokens", "cifar10", "mnist", "synthetic"].includes(data.type);
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
