import { isUtf8 } from "node:buffer";
import { badData } from "./errors.js";

/** What stands before text in UTF-8 that Windows programs write. */
const mark = Buffer.from("\ufeff");

/** Bytes without a byte order mark of UTF-8 at their beginning. */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes.subarray(0, mark.length).equals(mark) ? bytes.subarray(mark.length) : bytes;
}

/**
 * Text of UTF-8.
 *
 * @param offset where the bytes begin in the file, for messages
 * @throws CriticalSharpnessError `ERR_DATA` naming the first byte that is no UTF-8, and the command that helps.
 */
export function decodeUtf8(bytes: Buffer, file: string, offset = 0): string {
  if (!isUtf8(bytes)) {
    const at = firstForeign(bytes);
    const byte = (bytes[at] as number).toString(16).toUpperCase().padStart(2, "0");
    throw badData(
      "UTF-8",
      `"${file}"`,
      `the byte 0x${byte} at ${offset + at}: convert it, \`iconv -f WINDOWS-1252 -t UTF-8 "${file}" > utf8.txt\` if it is Latin-1`,
    );
  }
  try {
    return bytes.toString("utf8");
  } catch (error) {
    // Longer than a string of JavaScript can be.
    throw badData(
      "a text of at most 500 MB",
      `"${file}"`,
      `${(error as Error).message}: split it into files`,
    );
  }
}

function firstForeign(bytes: Buffer): number {
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (!isUtf8(bytes.subarray(at, at + length))) return at;
    at += length;
  }
  return bytes.length - 1;
}
