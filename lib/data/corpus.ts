import { expected } from "../errors.js";
import { badData } from "./errors.js";
import type { Texts } from "./texts.js";
import type { TextTokenizer } from "./tokenizers.js";
import { type TokenArray, type TokenStream, tokensInMemory } from "./tokens.js";

/**
 * Texts as one row of tokens, each text followed by `separator`.
 *
 * @throws CriticalSharpnessError `ERR_DATA` if there is no token.
 */
export async function tokenizeCorpus(
  name: string,
  texts: Texts,
  tokenizer: TextTokenizer,
  separator: string,
): Promise<TokenStream> {
  if (typeof texts?.[Symbol.asyncIterator] !== "function")
    throw expected("texts one after the other", "texts", texts);
  if (typeof tokenizer?.encode !== "function") throw expected("a tokenizer", "tokenizer", tokenizer);
  const parts: TokenArray[] = [];
  let length = 0;
  for await (const text of texts) {
    if (text === "") continue;
    const part = tokenizer.encode(text + separator);
    parts.push(part);
    length += part.length;
  }
  if (length === 0) throw badData("text", name, "an empty corpus");
  const all = emptyTokens(length, tokenizer.vocabularySize);
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return tokensInMemory(name, all, tokenizer.vocabularySize);
}

function emptyTokens(length: number, vocabularySize: number): TokenArray {
  if (vocabularySize <= 2 ** 8) return new Uint8Array(length);
  return vocabularySize <= 2 ** 16 ? new Uint16Array(length) : new Uint32Array(length);
}
