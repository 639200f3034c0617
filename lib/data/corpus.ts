import { checkBoolean, checkNumber, checkOptions } from "../checks.js";
import { expected } from "../errors.js";
import { badData } from "./errors.js";
import type { Texts } from "./texts.js";
import type { TextTokenizer } from "./tokenizers.js";
import { type TokenArray, type TokenStream, tokensInMemory } from "./tokens.js";

export interface CorpusOptions {
  /**
   * What follows each text, in place of the tokens that begin and end a document; it may hold special tokens of the
   * tokenizer. Default: a document's tokens, see `loadTokenizer`.
   */
  separator?: string;
  /** Whether the end-of-text token follows each document. Default true. */
  endOfText?: boolean;
  /** So many tokens at most: texts beyond them are not read. Default: all. */
  limit?: number;
}

/**
 * Texts as one row of tokens, each text a document.
 *
 * @throws CriticalSharpnessError `ERR_DATA` if there is no token, or no token to end a document with and no separator.
 */
export async function tokenizeCorpus(
  name: string,
  texts: Texts,
  tokenizer: TextTokenizer,
  options: CorpusOptions = {},
): Promise<TokenStream> {
  if (typeof texts?.[Symbol.asyncIterator] !== "function")
    throw expected("texts one after the other", "texts", texts);
  if (typeof tokenizer?.encode !== "function") throw expected("a tokenizer", "tokenizer", tokenizer);
  const { limit = Number.MAX_SAFE_INTEGER, ...how } = checkOptions(options, "options") as CorpusOptions;
  checkNumber(limit, "options.limit", { minimum: 1, integer: true });
  const encode = encoder(name, tokenizer, how);
  const parts: TokenArray[] = [];
  const documents: number[] = [];
  let length = 0;
  for await (const text of texts) {
    if (text === "") continue;
    const part = encode(text).subarray(0, limit - length);
    if (part.length === 0) continue;
    parts.push(part);
    length += part.length;
    documents.push(length);
    if (length >= limit) break;
  }
  if (length === 0) throw badData("text", name, "an empty corpus");
  const all = emptyTokens(length, tokenizer.vocabularySize);
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return tokensInMemory(name, all, tokenizer.vocabularySize, documents);
}

function encoder(
  name: string,
  tokenizer: TextTokenizer,
  { separator, endOfText = true }: CorpusOptions,
): (text: string) => TokenArray {
  checkBoolean(endOfText, "options.endOfText");
  if (separator !== undefined) {
    if (typeof separator !== "string") throw expected("a string", "options.separator", separator);
    return (text) => tokenizer.encode(text + separator);
  }
  if (typeof tokenizer.encodeDocument !== "function")
    throw badData(
      "a separator, or a tokenizer with eos_token in its tokenizer_config.json or eos_token_id in config.json,",
      name,
      "documents that nothing would tell apart",
    );
  return (text) => tokenizer.encodeDocument?.(text, { endOfText }) as TokenArray;
}

function emptyTokens(length: number, vocabularySize: number): TokenArray {
  if (vocabularySize <= 2 ** 8) return new Uint8Array(length);
  return vocabularySize <= 2 ** 16 ? new Uint16Array(length) : new Uint32Array(length);
}
