import { expected } from "../errors.js";
import { badData } from "../files/index.js";
import { checkNumber } from "../options/index.js";

/** Token ids as they are stored. */
export type TokenArray = Uint8Array | Uint16Array | Uint32Array;

/** What is known of a token file before it is read, see `checkVocabulary`. */
export interface StoredTokens {
  file: string;
  dtype: string;
  /** Whether nothing but the name of the file spoke for the type. */
  isAssumed: boolean;
  /** The largest token of those that were looked at, and its place. */
  largest: number;
  at: number;
}

/** A long row of tokens, in memory or in a file. */
export interface TokenStream extends AsyncDisposable {
  /** For messages. */
  readonly name: string;
  /** Number of tokens. */
  readonly length: number;
  /** Every token is below this, where it is known beforehand. */
  readonly vocabularySize: number | undefined;
  /** Where each document ends, ascending, the last one at `length`; undefined where nobody knows. */
  readonly documents?: readonly number[] | undefined;
  /** The files that it is read from. */
  readonly stored?: readonly StoredTokens[] | undefined;
  /** `count` tokens from `start`; the caller keeps within the stream. */
  read(start: number, count: number): Promise<TokenArray>;
}

/** The value, if it can be read as a stream. */
export function checkStream(value: unknown, subject: string): TokenStream {
  const { length, read } = (value ?? {}) as Partial<TokenStream>;
  if (!Number.isSafeInteger(length) || typeof read !== "function")
    throw expected("a TokenStream", subject, value);
  return value as TokenStream;
}

/** Tokens in memory. */
export function tokensInMemory(
  name: string,
  tokens: TokenArray,
  vocabularySize?: number,
  documents?: readonly number[],
): TokenStream {
  if (!(tokens instanceof Uint8Array || tokens instanceof Uint16Array || tokens instanceof Uint32Array))
    throw expected("a Uint8Array, Uint16Array or Uint32Array", "tokens", tokens);
  return {
    name,
    length: tokens.length,
    vocabularySize,
    documents,
    read: async (start, count) => tokens.subarray(start, start + count),
    [Symbol.asyncDispose]: async () => {},
  };
}

/**
 * A stream in two: about `fraction` of it, its end, is the second, from the beginning of a document on where these are
 * known. Both read from it and neither owns it.
 *
 * @throws CriticalSharpnessError `ERR_DATA` if one of them would be empty.
 */
export function splitStream(stream: TokenStream, fraction: number): [TokenStream, TokenStream] {
  const { length, documents } = checkStream(stream, "stream");
  checkNumber(fraction, "fraction", { above: 0, below: 1 });
  const wanted = Math.round(length * (1 - fraction));
  const cut = documents?.findLast((end) => end <= wanted) ?? (documents ? 0 : wanted);
  if (cut === 0 || cut === length)
    throw badData(
      `documents, or tokens, of which ${fraction} can be kept apart,`,
      stream.name,
      documents ? `${documents.length} documents` : `${length} tokens`,
    );
  return [part(stream, 0, cut), part(stream, cut, length)];
}

function part(stream: TokenStream, from: number, to: number): TokenStream {
  return {
    name: stream.name,
    length: to - from,
    vocabularySize: stream.vocabularySize,
    stored: stream.stored,
    documents: stream.documents?.flatMap((end) => (end > from && end <= to ? [end - from] : [])),
    read: (start, count) => stream.read(from + start, count),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Streams one after the other, as one. It owns them. */
export function concatenated(streams: readonly TokenStream[]): TokenStream {
  if (!Array.isArray(streams) || streams.length === 0)
    throw expected("an array of at least one TokenStream", "streams", streams);
  for (const [i, stream] of streams.entries()) checkStream(stream, `streams[${i}]`);
  const [only] = streams;
  if (only && streams.length === 1) return only;
  const sizes = streams.map((s) => s.vocabularySize);
  return {
    name: streams.map((s) => s.name).join(", "),
    length: streams.reduce((n, s) => n + s.length, 0),
    vocabularySize: sizes.includes(undefined) ? undefined : Math.max(...(sizes as number[])),
    stored: streams.flatMap((s) => s.stored ?? []),
    async read(start, count) {
      const out = new Uint32Array(count);
      let done = 0;
      let begin = 0;
      for (const stream of streams) {
        const from = start + done - begin;
        if (done < count && from < stream.length) {
          const part = await stream.read(from, Math.min(count - done, stream.length - from));
          out.set(part, done);
          done += part.length;
        }
        begin += stream.length;
      }
      return out;
    },
    async [Symbol.asyncDispose]() {
      for (const stream of streams) await stream[Symbol.asyncDispose]();
    },
  };
}

/** Whether a value is a row of numbers, as columns of token ids hold. */
export function isRow(value: unknown): value is Iterable<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && Symbol.iterator in value);
}

/**
 * Token ids of a row of numbers, which may be of any type.
 *
 * @param field the name under which they stand, for messages
 * @throws CriticalSharpnessError `ERR_DATA` naming the place.
 */
export function tokenIds(row: Iterable<unknown>, field: string, source: string): Uint32Array {
  const ids: number[] = [];
  for (const value of row) {
    const id = typeof value === "bigint" ? Number(value) : value;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= 2 ** 32)
      throw badData(
        `text, or token ids from 0 to 4294967295, under "${field}"`,
        source,
        `${typeof value === "object" ? `an array of ${value === null ? "null" : "objects"}` : JSON.stringify(id)} at [${ids.length}]`,
      );
    ids.push(id);
  }
  return Uint32Array.from(ids);
}
