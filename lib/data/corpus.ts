import * as z from "zod";
import { expected } from "../errors.js";
import { badData } from "../files/index.js";
import { count, readOptions } from "../options/index.js";
import type { Texts } from "./texts.js";
import type { TextTokenizer } from "./tokenizers.js";
import { type TokenArray, type TokenStream, tokensInMemory } from "./tokens.js";

const corpusOptions = z.strictObject({
  /**
   * What follows each text, in place of the tokens that begin and end a document; it may hold special tokens of the
   * tokenizer. Default: a document's tokens, see `loadTokenizer`.
   */
  separator: z.string().optional(),
  /** Whether the end-of-text token follows each document. Default true. */
  endOfText: z.boolean().default(true),
  /** So many tokens at most: texts beyond them are not read. Default: all. */
  limit: count.default(Number.MAX_SAFE_INTEGER),
});

export type CorpusOptions = z.input<typeof corpusOptions>;

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
