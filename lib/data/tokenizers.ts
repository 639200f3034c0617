import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { badData, readText } from "../files/index.js";
import { asSplits, mendSteps, type Step } from "./tokenizer-steps.js";
import type { TokenArray } from "./tokens.js";

export interface DocumentOptions {
  /** Whether the end-of-text token follows. Default true. */
  endOfText?: boolean;
}

export interface TextTokenizer {
  readonly vocabularySize: number;
  /** The text's tokens alone; special tokens that stand in it are recognised. */
  encode(text: string): TokenArray;
  /** A document's tokens with those that begin and end it; undefined where the tokenizer knows of none. */
  readonly encodeDocument?: ((text: string, options?: DocumentOptions) => TokenArray) | undefined;
  decode(tokens: TokenArray): string;
}

/** A token for each byte of UTF-8: a vocabulary of 256, no file needed. */
export const byteTokenizer: TextTokenizer = {
  vocabularySize: 256,
  encode: (text) => new TextEncoder().encode(text),
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
};

/**
 * Reads a Hugging Face `tokenizer.json`, and where they lie beside it `tokenizer_config.json`, `generation_config.json` and
 * `config.json`, of which the first to name an end-of-text token (`eos_token`, `eos_token_id`) decides.
 *
 * `encodeDocument` puts around a text what the tokenizer's post-processor adds, a beginning-of-text token in the families
 * that have one, and the end-of-text token after it, as pre-training does.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming the file.
 */
export async function loadTokenizer(file: string): Promise<TextTokenizer> {
  const json = await readJson(file);
  const beside = async (name: string) =>
    readJson(path.join(path.dirname(file), name)).catch((error) => {
      if (error.cause?.code === "ENOENT") return {};
      throw error;
    });
  const config = await beside("tokenizer_config.json");
  const others = [config, await beside("generation_config.json"), await beside("config.json")];
  let tokenizer: Tokenizer;
  let vocabularySize: number;
  checkFeatures(json, file);
  try {
    tokenizer = makeTokenizer(json, config);
    const ids = [...tokenizer.get_vocab(true).values()];
    vocabularySize = ids.reduce((most, id) => Math.max(most, id + 1), 0);
  } catch (error) {
    throw badData("a Hugging Face tokenizer", `"${file}"`, (error as Error).message);
  }
  const end = endOfText(others, tokenizer);
  const encode = (text: string, special: boolean) => {
    const { ids, tokens } = tokenizer.encode(text, { add_special_tokens: special });
    const missing = ids.indexOf(undefined as unknown as number);
    if (missing < 0) return ids;
    throw badData(
      "a token for every text",
      `"${file}"`,
      `${JSON.stringify(tokens[missing])}, which has none`,
    );
  };
  return {
    vocabularySize,
    encode: (text) => Uint32Array.from(encode(text, false)),
    decode: (tokens) => tokenizer.decode(Array.from(tokens)),
    encodeDocument:
      end === undefined && encode("", true).length === 0
        ? undefined
        : (text, { endOfText = true } = {}) => {
            const ids = encode(text, true);
            if (endOfText && end !== undefined && ids.at(-1) !== end) ids.push(end);
            return Uint32Array.from(ids);
          },
  };
}

/**
 * What would be computed otherwise than by Hugging Face's own code is refused by name.
 *
 * @throws CriticalSharpnessError `ERR_DATA`.
 */
function checkFeatures(json: TokenizerFile, file: string): void {
  const { model = {}, added_tokens: added = [] } = json;
  const word = added.find((token) => token.single_word);
  const features = [
    word && `the added token ${JSON.stringify(word.content)} with "single_word": true`,
    model.type === "BPE" &&
      model.continuing_subword_prefix &&
      `BPE with "continuing_subword_prefix": ${JSON.stringify(model.continuing_subword_prefix)}`,
    model.dropout && `BPE with "dropout": ${model.dropout}, which draws anew each time`,
  ];
  const found = features.find((feature) => feature);
  if (found)
    throw badData(
      "a tokenizer whose ids can be computed here",
      `"${file}"`,
      `${found}: tokenize in Python, and give the data as columns of input_ids`,
    );
}

/** The parts of tokenizer.json that are looked at here. */
interface TokenizerFile {
  model?: Record<string, unknown>;
  added_tokens?: { content: string; single_word?: boolean }[];
  pre_tokenizer?: Step | null;
  normalizer?: Step | null;
}

function makeTokenizer(json: TokenizerFile, config: object): Tokenizer {
  // Keys of slow tokenizers, which the library goes by and Hugging Face's fast ones do not.
  const { remove_space: _, do_lowercase_and_remove_accent: __, ...known } = config as Record<string, unknown>;
  const tokenizer = new Tokenizer(
    { ...json, pre_tokenizer: json.pre_tokenizer && asSplits(json.pre_tokenizer) },
    known,
  );
  mendSteps(tokenizer);
  const { model } = tokenizer;
  if (json.model?.type === "WordLevel" && model)
    model.unk_token_id = model.tokens_to_ids.get(json.model.unk_token as string);
  return tokenizer;
}

/** The id of the end-of-text token, as the first of the files that names it has it. */
function endOfText(files: readonly object[], tokenizer: Tokenizer): number | undefined {
  for (const file of files) {
    const { eos_token: token, eos_token_id: id } = file as Record<string, unknown>;
    const content = typeof token === "object" && token !== null && "content" in token ? token.content : token;
    const found =
      typeof content === "string" ? tokenizer.token_to_id(content) : Array.isArray(id) ? id[0] : id;
    if (Number.isSafeInteger(found)) return found as number;
  }
  return undefined;
}

async function readJson(file: string): Promise<object> {
  const text = await readText(file);
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    throw badData("JSON", `"${file}"`, (error as Error).message);
  }
  throw badData("a JSON object", `"${file}"`, "another kind of value");
}
