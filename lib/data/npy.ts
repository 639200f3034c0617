import { badData } from "./errors.js";

/** What precedes the numbers of an .npy file. */
export interface NpyHeader {
  dtype: "uint8" | "uint16" | "uint32";
  /** Numbers, over all axes. */
  count: number;
  byteOffset: number;
}

export const npyMagic = Buffer.from("\x93NUMPY", "latin1");
/** Enough for the header of any array of numbers. */
export const npyHeaderBytes = 4096;

const dtypes: Record<string, NpyHeader["dtype"]> = {
  "|u1": "uint8",
  "<u1": "uint8",
  "<u2": "uint16",
  "<u4": "uint32",
};

/**
 * Reads the header of an .npy file (NumPy's format, versions 1 to 3) of unsigned little-endian integers.
 *
 * @param start the file's first bytes, at most `npyHeaderBytes`.
 * @throws CriticalSharpnessError `ERR_DATA` naming the file.
 */
export function parseNpyHeader(start: Buffer, file: string): NpyHeader {
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
  const dtype = descr === undefined ? undefined : dtypes[descr];
  if (!dtype) throw badData("numbers of type uint8, uint16 or uint32", source, descr ?? "a structured type");
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\s,]*)\)/
    .exec(text)?.[1]
    ?.split(",")
    .filter((s) => s.trim() !== "");
  if (order === undefined || shape === undefined)
    throw badData("an .npy header", source, text.trim().slice(0, 80));
  if (order === "True" && shape.length > 1)
    throw badData("an array stored row by row", source, "one in Fortran order");
  return { dtype, count: shape.reduce((n, s) => n * Number(s), 1), byteOffset: textStart + length };
}
