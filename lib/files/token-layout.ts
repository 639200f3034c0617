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

export const npyMagic = Buffer.from("\x93NUMPY", "latin1");
/** Enough for the header of any array of numbers. */
export const npyHeaderBytes = 4096;

const npyKinds: Readonly<Record<string, TokenDtype>> = {
  u1: "uint8",
  i1: "int8",
  u2: "uint16",
  i2: "int16",
  u4: "uint32",
  i4: "int32",
  u8: "uint64",
  i8: "int64",
};

/**
 * Reads the header of an .npy file (NumPy's format, versions 1 to 3) of integers, in rows.
 *
 * @param start the file's first bytes, at most `npyHeaderBytes`.
 * @throws CriticalSharpnessError `ERR_DATA` naming the file.
 */
export function parseNpyHeader(start: Buffer, file: string): TokenLayout {
  const source = `"${file}"`;
  const major = start.length > 10 ? start[6] : undefined;
  if (major !== 1 && major !== 2 && major !== 3)
    throw badData("an .npy file of format version 1 to 3", source, `version ${major ?? "none"}`);
  const textStart = major === 1 ? 10 : 12;
  const length = major === 1 ? start.readUInt16LE(8) : start.length > 12 ? start.readUInt32LE(8) : 0;
  if (textStart + length > start.length)
    throw badData("a whole .npy header", source, `${start.length} bytes of ${textStart + length}`);
  const text = start.toString("latin1", textStart, textStart + length);
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const dtype = descr === undefined ? undefined : npyKinds[descr.slice(1)];
  if (!dtype || !"<>|=".includes((descr as string)[0] as string))
    throw badData(
      "integers of 8 to 64 bits",
      source,
      `${descr ?? "a structured type"}: save it anew, \`np.save(file, array.astype(np.uint32))\``,
    );
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\s,]*)\)/
    .exec(text)?.[1]
    ?.split(",")
    .filter((s) => s.trim() !== "");
  if (order === undefined || shape === undefined)
    throw badData("an .npy header", source, text.trim().slice(0, 80));
  if (order === "True" && shape.length > 1)
    throw badData(
      "an array stored row by row",
      source,
      "one in Fortran order: save it anew, `np.save(file, np.ascontiguousarray(array))`",
    );
  return {
    dtype,
    isBigEndian: descr?.startsWith(">"),
    count: shape.reduce((n, s) => n * Number(s), 1),
    byteOffset: textStart + length,
  };
}
