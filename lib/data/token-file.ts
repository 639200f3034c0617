import type { FileHandle } from "node:fs/promises";
import * as z from "zod";
import { CriticalSharpnessError } from "../errors.js";
import {
  badData,
  npyHeaderBytes,
  npyMagic,
  openFile,
  parseNpyHeader,
  parseShardHeader,
  refusePointer,
  type TokenDtype,
  type TokenLayout,
  unreadable,
  widths,
} from "../files/index.js";
import { type OptionsOf, readOptions } from "../options/index.js";
import type { StoredTokens, TokenArray, TokenStream } from "./tokens.js";

const tokenFileShape = {
  /** Type of the numbers in a file without a header. Default: uint16 for `.bin`; an `.npy` without one has no default. */
  dtype: z.enum(["uint16", "uint32"]).optional(),
};

const tokenFileOptions = z.strictObject(tokenFileShape);

export type TokenFileOptions = OptionsOf<typeof tokenFileShape>;

/**
 * Opens a token file: little-endian uint16 or uint32 without a header (`.bin`; OLMo's `.npy` are such files too, memory
 * maps), a shard of llm.c or modded-nanogpt, or a true `.npy` of integers. Tokens are read where they are asked for: the file
 * may be larger than memory.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming the file; also where every second of the uint16 that nobody
 *   asked for is 0.
 */
export async function openTokenFile(path: string, options: TokenFileOptions = {}): Promise<TokenStream> {
  const { dtype: given } = readOptions(tokenFileOptions, options);
  const file = await openFile(path, "r").catch((error) => {
    throw unreadable("a readable token file", path, error);
  });
  try {
    const found = await layout(file, path, given);
    const read = (start: number, count: number) => readTokens(file, path, found, [start, count]);
    return {
      name: path,
      length: found.count,
      vocabularySize: undefined,
      stored: [await look(read, path, found)],
      read,
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** `isAssumed`: see `StoredTokens`. */
type FoundLayout = TokenLayout & { isAssumed: boolean };

async function layout(
  file: FileHandle,
  path: string,
  given: TokenFileOptions["dtype"],
): Promise<FoundLayout> {
  const stat = await file.stat();
  if (!stat.isFile()) throw badData("a token file", `"${path}"`, "a directory or device");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(npyHeaderBytes), 0, npyHeaderBytes, 0);
  const start = buffer.subarray(0, bytesRead);
  refusePointer(start, "a token file", path);
  const isNpy = start.subarray(0, npyMagic.length).equals(npyMagic);
  const header = isNpy ? parseNpyHeader(start, path) : parseShardHeader(start, path);
  if (header) {
    const [bytes, there] = [header.count * widths[header.dtype], stat.size - header.byteOffset];
    if (there < bytes)
      throw badData(`${bytes} bytes of numbers`, `"${path}"`, `${there}: the file is truncated`);
    return { ...header, isAssumed: false };
  }
  const dtype = given ?? (path.endsWith(".bin") ? "uint16" : undefined);
  if (!dtype)
    throw badData(
      '"dtype": "uint16" or "uint32" in the data section (--token-type)',
      `"${path}"`,
      "a file without a header and no dtype",
    );
  if (stat.size % widths[dtype] !== 0)
    throw badData(`a whole number of ${dtype} tokens`, `"${path}"`, `${stat.size} bytes`);
  return { dtype, count: stat.size / widths[dtype], byteOffset: 0, isAssumed: given === undefined };
}

/** Tokens at the beginning, in the middle and at the end that are looked at when a file is opened; even. */
const looked = 2 ** 18;

async function look(
  read: TokenStream["read"],
  file: string,
  { count, dtype, isAssumed }: FoundLayout,
): Promise<StoredTokens> {
  let [largest, at] = [-1, 0];
  const parts: TokenArray[] = [];
  const middle = Math.floor(count / 4) * 2;
  for (const start of new Set([0, middle, Math.max(0, count - looked)])) {
    const part = await read(start, Math.min(looked, count - start));
    parts.push(start % 2 === 0 ? part : part.subarray(1));
    for (const [i, token] of part.entries()) if (token > largest) [largest, at] = [token, start + i];
  }
  if (isAssumed && looksLikeHalves(parts))
    throw badData(
      '"dtype": "uint32" in the data section (--token-type uint32), or "uint16",',
      `"${file}"`,
      "neither, and numbers of which, read as uint16, every second one is 0 or next to it",
    );
  return { file, dtype, isAssumed, largest, at };
}

/** Whether what was read as uint16 is rather uint32: the upper halves of token ids are 0, or a few more at most. */
function looksLikeHalves(parts: readonly TokenArray[]): boolean {
  let [lower, upper, pairs] = [0, 0, 0];
  for (const part of parts)
    for (let i = 0; i + 1 < part.length; i += 2) {
      lower = Math.max(lower, part[i] as number);
      upper = Math.max(upper, part[i + 1] as number);
      pairs++;
    }
  return pairs >= 4 && (upper === 0 ? lower > 0 : pairs >= 64 && upper < 8 && lower > 256);
}

async function readTokens(
  file: FileHandle,
  path: string,
  { dtype, byteOffset, isBigEndian }: TokenLayout,
  [start, count]: readonly [number, number],
): Promise<TokenArray> {
  const width = widths[dtype];
  const bytes = Buffer.from(new ArrayBuffer(count * width));
  const position = byteOffset + start * width;
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0)
      throw badData("a file that keeps its length", `"${path}"`, "one that became shorter");
    done += bytesRead;
  }
  if (isBigEndian) swap(bytes, width);
  const numbers = new arrays[dtype](bytes.buffer as ArrayBuffer);
  if (numbers instanceof Uint8Array || numbers instanceof Uint16Array || numbers instanceof Uint32Array)
    return numbers;
  const tokens = new Uint32Array(count);
  for (const [i, number] of numbers.entries()) {
    if (number < 0 || number >= 2 ** 32)
      throw badData("token ids from 0 to 4294967295", `"${path}"`, `${number} at ${start + i}`);
    tokens[i] = Number(number);
  }
  return tokens;
}

// Node runs on little-endian machines only where this package does.
const arrays = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
} as const satisfies Record<TokenDtype, unknown>;

function swap(bytes: Buffer, width: number): void {
  if (width === 2) bytes.swap16();
  else if (width === 4) bytes.swap32();
  else if (width === 8) bytes.swap64();
}

/**
 * Whether files can hold tokens of a vocabulary, by those that were looked at when they were opened.
 *
 * @param vocabularySize of the model
 * @throws CriticalSharpnessError `ERR_DATA` naming the file and the token.
 */
export function checkVocabulary(stored: readonly StoredTokens[] | undefined, vocabularySize: number): void {
  for (const { file, dtype, isAssumed, largest, at } of stored ?? []) {
    if (isAssumed && vocabularySize > 2 ** 16)
      throw new CriticalSharpnessError(
        "ERR_DATA",
        `Expected "dtype": "uint32" or "uint16" in the data section (--token-type) for "${file}", as uint16 cannot hold the ` +
          `${vocabularySize} tokens of the model, but received neither`,
      );
    if (largest >= vocabularySize)
      throw badData(
        `token ids below ${vocabularySize}, the model's vocab_size,`,
        `"${file}"`,
        `${largest} at ${at}, read as ${dtype}: another tokenizer's, or another "dtype" (--token-type)?`,
      );
  }
}
