import { badConfiguration } from "../options/index.js";
import { arrowTexts } from "./arrow-texts.js";
import { tokenizeCorpus } from "./corpus.js";
import { type DataSection, type ExampleSection, isExampleData, withFormat } from "./description.js";
import { type ExampleSet, rows, syntheticExamples } from "./examples.js";
import { findDataFiles } from "./find-files.js";
import { loadCifar10, loadMnist } from "./images.js";
import { parquetTexts } from "./parquet-texts.js";
import { templateText } from "./template.js";
import {
  csvTexts,
  jsonLinesTexts,
  jsonTexts,
  plainTexts,
  stateOfTheUnionTexts,
  type Texts,
} from "./texts.js";
import { openTokenFile } from "./token-file.js";
import { byteTokenizer, loadTokenizer } from "./tokenizers.js";
import { concatenated, type TokenStream } from "./tokens.js";

type Tokens = Exclude<DataSection, ExampleSection | { type: "files" }>;

/** Opens what the section `data` of a configuration names: a stream of tokens, or a set of examples. */
export async function openData(data: DataSection, seed: number): Promise<TokenStream | ExampleSet> {
  return isExampleData(data) ? openExamples(data, seed) : openTokens(withFormat(data) as Tokens);
}

async function openExamples(data: ExampleSection, seed: number): Promise<ExampleSet> {
  switch (data.type) {
    case "cifar10":
      return first(await loadCifar10(data.files), data.count);
    case "mnist":
      return first(await loadMnist(), data.count);
    case "synthetic": {
      const { type: _, ...sizes } = data;
      return syntheticExamples({ ...sizes, seed });
    }
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
