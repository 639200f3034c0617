import { badData } from "./file.js";
import type { TokenDtype, TokenLayout } from "./token-shard.js";

export const npyMagic = Buffer.from("\x93NUMPY", "latin1");
/** Enough for the header of any array of numbers. */
export const npyHeaderBytes = 4096;

const kinds: Readonly<Record<string, TokenDtype>> = {
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
  const dtype = descr === undefined ? undefined : kinds[descr.slice(1)];
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
