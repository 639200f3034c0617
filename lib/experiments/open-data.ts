import { rows } from "../data/examples.js";
import { findDataFiles } from "../data/find-files.js";
import {
  arrowTexts,
  byteTokenizer,
  concatenated,
  csvTexts,
  ExampleBatches,
  type ExampleSet,
  jsonLinesTexts,
  jsonTexts,
  loadCifar10,
  loadMnist,
  loadTokenizer,
  openTokenFile,
  parquetTexts,
  plainTexts,
  stateOfTheUnionTexts,
  syntheticExamples,
  type Texts,
  TokenBatches,
  type TokenStream,
  templateText,
  tokenizeCorpus,
} from "../data/index.js";
import type { TrainConfiguration } from "./configuration.js";
import { badConfiguration } from "./configuration-errors.js";
import type { DataSection } from "./configuration-schema.js";
import { withFormat } from "./resolve-data.js";

type Tokens = Exclude<DataSection, Examples | { type: "files" }>;
type Examples = Extract<DataSection, { type: "cifar10" | "mnist" | "synthetic" }>;

/** Opens what the section `data` of a configuration names: a stream of tokens, or a set of examples. */
export async function openData(data: DataSection, seed: number): Promise<TokenStream | ExampleSet> {
  return isExampleData(data) ? openExamples(data, seed) : openTokens(withFormat(data) as Tokens);
}

/** Whether the data are examples with targets; else they are tokens. */
export function isExampleData(data: DataSection): data is Examples {
  return data.type === "cifar10" || data.type === "mnist" || data.type === "synthetic";
}

async function openExamples(data: Examples, seed: number): Promise<ExampleSet> {
  switch (data.type) {
    case "cifar10":
      return first(await loadCifar10(data.files), data.count);
    case "mnist":
      return first(await loadMnist(), data.count);
    case "synthetic":
      return syntheticExamples({ ...data, seed });
  }
}

function first(set: ExampleSet, count: number | undefined): ExampleSet {
  if (count === undefined || count === set.count) return set;
  if (count < set.count) return rows(set, 0, count);
  throw badConfiguration(
    `Expected at most ${set.count}, the examples that there are, for data.count but received ${count}`,
    undefined,
  );
}

async function openTokens(data: Tokens): Promise<TokenStream> {
  if (data.type === "tokens") {
    const streams: TokenStream[] = [];
    try {
      for (const file of findDataFiles(data.files, "tokens").files)
        streams.push(await openTokenFile(file, { dtype: data.dtype }));
    } catch (error) {
      for (const stream of streams) await stream[Symbol.asyncDispose]();
      throw error;
    }
    return concatenated(streams);
  }
  const { tokenizer: name, endOfText, limit } = data;
  const tokenizer =
    name === undefined ? undefined : name === "bytes" ? byteTokenizer : await loadTokenizer(name);
  const corpus = { separator: data.separator ?? (name === "bytes" ? "\n\n" : undefined), endOfText, limit };
  if (data.type === "state-of-the-union")
    return tokenizeCorpus("the State of the Union addresses", stateOfTheUnionTexts(), tokenizer, corpus);
  const { files } = findDataFiles(data.files, data.type);
  return tokenizeCorpus(files.map((f) => `"${f}"`).join(", "), texts(data, files), tokenizer, corpus);
}

const readers = {
  jsonl: jsonLinesTexts,
  json: jsonTexts,
  csv: csvTexts,
  parquet: parquetTexts,
  arrow: arrowTexts,
} as const;

function texts(data: Exclude<Tokens, { type: "tokens" | "state-of-the-union" }>, files: string[]): Texts {
  if (data.type === "text") return plainTexts(files);
  const { field, template } = data;
  if (field !== undefined && template !== undefined)
    throw badConfiguration("Expected a field or a template, not both, for data but received both", undefined);
  return readers[data.type](files, template === undefined ? field : templateText(template));
}

/** Batches of what was opened. */
export function cutBatches(
  opened: TokenStream | ExampleSet,
  { batch, validation, seed }: Pick<TrainConfiguration, "batch" | "validation" | "seed">,
  contextLength: number,
): TokenBatches | ExampleBatches {
  const common = { size: batch.size, seed, validationFraction: validation?.fraction ?? 0 };
  return "read" in opened
    ? new TokenBatches(opened, {
        ...common,
        sequence: batch.sequence ?? contextLength,
        documents: batch.documents,
        sampling: batch.sampling,
      })
    : new ExampleBatches(opened, common);
}
