import { badData } from "./file.js";

/** How numbers lie in a token file. */
export interface TokenLayout {
  dtype: TokenDtype;
  isBigEndian?: boolean;
  /** Numbers, over all axes. */
  count: number;
  byteOffset: number;
}

/** Bytes of a number. */
export const widths = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  uint64: 8,
  int64: 8,
} as const;

export type TokenDtype = keyof typeof widths;

/** 256 numbers of type int32: the magic number, the version, and the count of tokens. */
const headerBytes = 1024;

/** As llm.c (dev/data/data_common.py) writes them for GPT-2 and for Llama 3, and modded-nanogpt as the first. */
const kinds: Readonly<Record<number, { version: number; dtype: "uint16" | "uint32" }>> = {
  20240520: { version: 1, dtype: "uint16" },
  20240801: { version: 7, dtype: "uint32" },
};
/** llm.c's multiple-choice questions. */
const questions = 20240522;

/**
 * Layout of a token shard of llm.c or modded-nanogpt; undefined if the file does not begin as one does.
 *
 * @param start the file's first bytes
 * @throws CriticalSharpnessError `ERR_DATA` naming the file.
 */
export function parseShardHeader(start: Buffer, file: string): TokenLayout | undefined {
  if (start.length < headerBytes) return undefined;
  const [magic, version, count] = [0, 4, 8].map((at) => start.readInt32LE(at)) as [number, number, number];
  // A header has nothing further; tokens that begin with these numbers by chance have.
  if (start.subarray(16, headerBytes).some((byte) => byte !== 0)) return undefined;
  if (magic === questions)
    throw badData("tokens in a row", `"${file}"`, "multiple-choice questions of llm.c");
  const kind = kinds[magic];
  if (!kind) return undefined;
  if (version !== kind.version)
    throw badData(
      `version ${kind.version} of shards of ${kind.dtype} tokens`,
      `"${file}"`,
      `version ${version}`,
    );
  if (count < 0) throw badData("a count of tokens ≥ 0 in the header", `"${file}"`, `${count}`);
  return { dtype: kind.dtype, count, byteOffset: headerBytes };
}
