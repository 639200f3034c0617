import { readFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { badData, unreadable } from "./errors.js";
import type { TokenArray } from "./tokens.js";

export interface TextTokenizer {
  readonly vocabularySize: number;
  encode(text: string): TokenArray;
  decode(tokens: TokenArray): string;
}

/** A token for each byte of UTF-8: a vocabulary of 256, no file needed. */
export const byteTokenizer: TextTokenizer = {
  vocabularySize: 256,
  encode: (text) => new TextEncoder().encode(text),
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
};

/**
 * Reads a Hugging Face `tokenizer.json`; `tokenizer_config.json` beside it is read too if it is there. No special
 * tokens are added to a text, those that stand in it are recognised.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming the file.
 */
export async function loadTokenizer(file: string): Promise<TextTokenizer> {
  const json = await readJson(file);
  const beside = path.join(path.dirname(file), "tokenizer_config.json");
  const config = await readJson(beside).catch((error) => {
    if (error.cause?.code === "ENOENT") return {};
    throw error;
  });
  let tokenizer: Tokenizer;
  let vocabularySize: number;
  try {
    tokenizer = new Tokenizer(json, config);
    const ids = [...tokenizer.get_vocab(true).values()];
    vocabularySize = ids.reduce((most, id) => Math.max(most, id + 1), 0);
  } catch (error) {
    throw badData("a Hugging Face tokenizer", `"${file}"`, (error as Error).message);
  }
  return {
    vocabularySize,
    encode: (text) => Uint32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids),
    decode: (tokens) => tokenizer.decode(Array.from(tokens)),
  };
}

async function readJson(file: string): Promise<object> {
  const text = await readFile(file, "utf8").catch((error) => {
    throw unreadable("a readable file", file, error);
  });
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    throw badData("JSON", `"${file}"`, (error as Error).message);
  }
  throw badData("a JSON object", `"${file}"`, "another kind of value");
}
