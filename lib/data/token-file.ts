import { type FileHandle, open } from "node:fs/promises";
import { checkChoice, checkOptions } from "../checks.js";
import { badData, unreadable } from "./errors.js";
import { type NpyHeader, npyHeaderBytes, npyMagic, parseNpyHeader } from "./npy.js";
import type { TokenArray, TokenStream } from "./tokens.js";

const widths = { uint8: 1, uint16: 2, uint32: 4 };

export interface TokenFileOptions {
  /** Type of the numbers in a file without a header. Default: uint16 for `.bin`; an `.npy` without one has no default. */
  dtype?: "uint16" | "uint32";
}

/**
 * Opens a token file: little-endian uint16 or uint32 without a header (`.bin`; OLMo's `.npy` are such files too, memory
 * maps), or a true `.npy`. Tokens are read where they are asked for: the file may be larger than memory.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming the file.
 */
export async function openTokenFile(path: string, options: TokenFileOptions = {}): Promise<TokenStream> {
  const { dtype: stated } = checkOptions(options, "options");
  const given = stated === undefined ? undefined : checkChoice(stated, "options.dtype", ["uint16", "uint32"]);
  const file = await open(path, "r").catch((error) => {
    throw unreadable("a readable token file", path, error);
  });
  try {
    const { dtype, count, byteOffset } = await layout(file, path, given);
    return {
      name: path,
      length: count,
      vocabularySize: undefined,
      read: (start, tokens) => readTokens(file, path, dtype, byteOffset + start * widths[dtype], tokens),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function layout(file: FileHandle, path: string, given: TokenFileOptions["dtype"]): Promise<NpyHeader> {
  const stat = await file.stat();
  if (!stat.isFile()) throw badData("a token file", `"${path}"`, "a directory or device");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(npyHeaderBytes), 0, npyHeaderBytes, 0);
  const start = buffer.subarray(0, bytesRead);
  if (start.subarray(0, npyMagic.length).equals(npyMagic)) {
    const header = parseNpyHeader(start, path);
    const bytes = header.count * widths[header.dtype];
    if (stat.size - header.byteOffset < bytes)
      throw badData(
        `${bytes} bytes of numbers`,
        `"${path}"`,
        `${stat.size - header.byteOffset}: the file is truncated`,
      );
    return header;
  }
  const dtype = given ?? (path.endsWith(".bin") ? "uint16" : undefined);
  if (!dtype)
    throw badData(
      '"dtype": "uint16" or "uint32" in the data section',
      `"${path}"`,
      "a file without a header and no dtype",
    );
  if (stat.size % widths[dtype] !== 0)
    throw badData(`a whole number of ${dtype} tokens`, `"${path}"`, `${stat.size} bytes`);
  return { dtype, count: stat.size / widths[dtype], byteOffset: 0 };
}

async function readTokens(
  file: FileHandle,
  path: string,
  dtype: NpyHeader["dtype"],
  position: number,
  count: number,
): Promise<TokenArray> {
  const bytes = Buffer.from(new ArrayBuffer(count * widths[dtype]));
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0)
      throw badData("a file that keeps its length", `"${path}"`, "one that became shorter");
    done += bytesRead;
  }
  if (dtype === "uint8") return new Uint8Array(bytes.buffer);
  // Node runs on little-endian machines only where this package does.
  return dtype === "uint16" ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
}
