import { rows } from "../data/examples.js";
import { extensions } from "../data/format.js";
import {
  byteTokenizer,
  concatenated,
  ExampleBatches,
  type ExampleSet,
  jsonLinesTexts,
  listFiles,
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
import { fieldText } from "../data/template.js";
import type { TrainConfiguration } from "./configuration.js";
import { badConfiguration } from "./configuration-errors.js";

type DataSection = TrainConfiguration["data"];
type Examples = Extract<DataSection, { type: "cifar10" | "mnist" | "synthetic" }>;

/** Opens what the section `data` of a configuration names: a stream of tokens, or a set of examples. */
export async function openData(data: DataSection, seed: number): Promise<TokenStream | ExampleSet> {
  return isExampleData(data) ? openExamples(data, seed) : openTokens(data);
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

async function openTokens(data: Exclude<DataSection, Examples>): Promise<TokenStream> {
  if (data.type === "tokens") {
    const streams: TokenStream[] = [];
    try {
      for (const file of data.files) streams.push(await openTokenFile(file, { dtype: data.dtype }));
    } catch (error) {
      for (const stream of streams) await stream[Symbol.asyncDispose]();
      throw error;
    }
    return concatenated(streams);
  }
  const tokenizer = data.tokenizer === "bytes" ? byteTokenizer : await loadTokenizer(data.tokenizer);
  const { separator = data.tokenizer === "bytes" ? "\n\n" : undefined, endOfText, limit } = data;
  const corpus = { separator, endOfText, limit };
  if (data.type === "state-of-the-union")
    return tokenizeCorpus("the State of the Union addresses", stateOfTheUnionTexts(), tokenizer, corpus);
  const files = await listFiles(data.files, extensions[data.type][0]);
  return tokenizeCorpus(files.map((f) => `"${f}"`).join(", "), texts(data, files), tokenizer, corpus);
}

function texts(data: Extract<DataSection, { type: "text" | "jsonl" | "parquet" }>, files: string[]): Texts {
  if (data.type === "text") return plainTexts(files);
  const { field, template } = data;
  if (field !== undefined && template !== undefined)
    throw badConfiguration("Expected a field or a template, not both, for data but received both", undefined);
  const text = template === undefined ? fieldText(field ?? "text") : templateText(template);
  return data.type === "jsonl" ? jsonLinesTexts(files, text) : parquetTexts(files, text);
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
