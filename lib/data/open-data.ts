import * as z from "zod";
import { expected } from "../errors.js";
import { badData } from "../files/index.js";
import { badConfiguration, count, type OptionsOf, readOptions } from "../options/index.js";
import { arrowTexts } from "./arrow-texts.js";
import { type DataSection, type ExampleSection, isExampleData, withFormat } from "./description.js";
import { type ExampleSet, rows, syntheticExamples } from "./examples.js";
import { findDataFiles } from "./find-files.js";
import { loadCifar10, loadMnist } from "./images.js";
import { parquetTexts } from "./parquet-texts.js";
import { templateText } from "./template.js";
import { firstRows, loadTensors, type TensorSet } from "./tensors.js";
import {
  csvTexts,
  jsonLinesTexts,
  jsonTexts,
  plainTexts,
  stateOfTheUnionTexts,
  type Texts,
} from "./texts.js";
import { openTokenFile } from "./token-file.js";
import { byteTokenizer, loadTokenizer, type TextTokenizer } from "./tokenizers.js";
import { concatenated, type TokenArray, type TokenStream, tokensInMemory } from "./tokens.js";

type Tokens = Exclude<DataSection, ExampleSection | { type: "files" }>;

/** A stream of tokens, a set of examples, or the tensors of a program. */
export type OpenedData = TokenStream | ExampleSet | TensorSet;

/** Opens what the section `data` of a configuration names. */
export async function openData(data: DataSection, seed: number): Promise<OpenedData> {
  const found = withFormat(data);
  return isExampleData(found) ? openExamples(found, seed) : openTokens(found as Tokens);
}

async function openExamples(data: ExampleSection, seed: number): Promise<ExampleSet | TensorSet> {
  switch (data.type) {
    case "tensors": {
      const set = await loadTensors(findDataFiles(data.files, "tensors").files);
      return first(set, data.count, firstRows);
    }
    case "cifar10":
      return first(await loadCifar10(data.files), data.count, firstExamples);
    case "mnist":
      return first(await loadMnist(), data.count, firstExamples);
    case "synthetic": {
      const { type: _, ...sizes } = data;
      return syntheticExamples({ ...sizes, seed });
    }
  }
}

const firstExamples = (set: ExampleSet, count: number) => rows(set, 0, count);

function first<Rows extends { count: number }>(
  set: Rows,
  count: number | undefined,
  take: (set: Rows, count: number) => Rows,
): Rows {
  if (count === undefined || count === set.count) return set;
  if (count < set.count) return take(set, count);
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

const corpusShape = {
  /**
   * What follows each text, in place of the tokens that begin and end a document; it may hold special tokens of the
   * tokenizer. Default: a document's tokens, see `loadTokenizer`.
   */
  separator: z.string().optional(),
  /** Whether the end-of-text token follows each document. Default true. */
  endOfText: z.boolean().default(true),
  /** So many tokens at most: texts beyond them are not read. Default: all. */
  limit: count.default(Number.MAX_SAFE_INTEGER),
};

const corpusOptions = z.strictObject(corpusShape);

export type CorpusOptions = OptionsOf<typeof corpusShape>;

/**
 * Texts as one row of tokens, each text a document. Texts that were tokenized before keep their ids, and nothing is put
 * around them.
 *
 * @param tokenizer may be left out where all texts were tokenized before
 * @throws CriticalSharpnessError `ERR_DATA` if there is no token, or no token to end a document with and no separator, or if
 *   only some of the texts were tokenized before.
 */
export async function tokenizeCorpus(
  name: string,
  texts: Texts,
  tokenizer: TextTokenizer | undefined,
  options: CorpusOptions = {},
): Promise<TokenStream> {
  if (typeof texts?.[Symbol.asyncIterator] !== "function")
    throw expected("texts one after the other", "texts", texts);
  if (tokenizer !== undefined && typeof tokenizer?.encode !== "function")
    throw expected("a tokenizer", "tokenizer", tokenizer);
  const { limit, ...how } = readOptions(corpusOptions, options);
  let encode: ((text: string) => TokenArray) | undefined;
  const tokensOf = (text: string | Uint32Array): TokenArray => {
    if ((typeof text === "string") !== (encode !== undefined) && parts.length > 0)
      throw badData("texts or token ids alone", name, "both");
    if (typeof text !== "string") return text;
    encode ??= encoder(name, tokenizer, how);
    return encode(text);
  };
  const parts: TokenArray[] = [];
  const documents: number[] = [];
  let length = 0;
  for await (const text of texts) {
    if (text.length === 0) continue;
    const part = tokensOf(text).subarray(0, limit - length);
    if (part.length === 0) continue;
    parts.push(part);
    length += part.length;
    documents.push(length);
    if (length >= limit) break;
  }
  if (length === 0) throw badData("text", name, "an empty corpus");
  const vocabularySize = encode && tokenizer ? tokenizer.vocabularySize : largest(parts) + 1;
  const all = emptyTokens(length, vocabularySize);
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return tokensInMemory(name, all, vocabularySize, documents);
}

function encoder(
  name: string,
  tokenizer: TextTokenizer | undefined,
  { separator, endOfText }: Omit<z.output<typeof corpusOptions>, "limit">,
): (text: string) => TokenArray {
  if (tokenizer === undefined) throw badData("token ids, or a tokenizer,", name, "text, and no tokenizer");
  if (separator !== undefined) return (text) => tokenizer.encode(text + separator);
  if (typeof tokenizer.encodeDocument !== "function")
    throw badData(
      "a separator, or a tokenizer with eos_token in its tokenizer_config.json or eos_token_id in config.json,",
      name,
      "documents that nothing would tell apart",
    );
  return (text) => tokenizer.encodeDocument?.(text, { endOfText }) as TokenArray;
}

function largest(parts: readonly TokenArray[]): number {
  let most = 0;
  for (const part of parts) for (const token of part) if (token > most) most = token;
  return most;
}

function emptyTokens(length: number, vocabularySize: number): TokenArray {
  if (vocabularySize <= 2 ** 8) return new Uint8Array(length);
  return vocabularySize <= 2 ** 16 ? new Uint16Array(length) : new Uint32Array(length);
}
