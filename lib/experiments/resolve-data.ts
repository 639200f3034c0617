import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { TrainConfiguration } from "./configuration.js";
import { badConfiguration } from "./configuration-errors.js";

type DataSection = TrainConfiguration["data"];

/**
 * A description of data with absolute paths. Text whose tokenizer was not given gets that of the first model that has one.
 *
 * @param given the description before defaults were put in
 * @param directories of the models
 */
export async function resolveData(
  parsed: DataSection,
  given: unknown,
  { directories, absolute }: { directories: readonly string[]; absolute: (file: string) => string },
): Promise<DataSection> {
  const data = { ...parsed };
  if ("files" in data) data.files = data.files.map(absolute);
  if ("tokenizer" in data) {
    if (!hasTokenizer(given)) data.tokenizer = await ownTokenizer(directories);
    if (data.tokenizer !== "bytes") data.tokenizer = absolute(data.tokenizer);
  }
  return data;
}

function hasTokenizer(data: unknown): boolean {
  return typeof data === "object" && data !== null && "tokenizer" in data && data.tokenizer !== undefined;
}

/** The tokenizer of the first model that has one. Bytes stand in only where the model's vocabulary is that of bytes. */
export async function ownTokenizer(directories: readonly string[]): Promise<string> {
  const files = directories.map((directory) => path.join(directory, "tokenizer.json"));
  const found = files.find((file) => existsSync(file));
  if (found !== undefined) return found;
  const sizes = await Promise.all(directories.map(vocabularySize));
  if (sizes.find((size) => size !== undefined) === 256) return "bytes";
  throw badConfiguration(
    'Expected a file or "bytes" for data.tokenizer, as no model has a tokenizer.json, but received nothing',
    undefined,
  );
}

async function vocabularySize(directory: string): Promise<number | undefined> {
  try {
    return JSON.parse(await readFile(path.join(directory, "config.json"), "utf8")).vocab_size;
  } catch {
    // Said when the checkpoint is measured.
    return undefined;
  }
}
