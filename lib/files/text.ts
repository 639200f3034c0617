import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { pipeline, Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import { CriticalSharpnessError } from "../errors.js";
import { checkString } from "../options/index.js";
import { badData, unreadable } from "./file.js";
import { foreign, refusePointer, startBytes } from "./foreign.js";

/** Endings of files that are unpacked as they are read. */
export const packings = [".gz", ".zst"] as const;

/** The name without the ending of a packing. */
export function unpackedName(file: string): string {
  return file.replace(/\.(gz|zst)$/i, "");
}

/** A whole text file, without its byte order mark. @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming the file. */
export async function readText(file: string): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of textBytes(file)) parts.push(part);
  return decodeUtf8(Buffer.concat(parts), file);
}

/** A line with the number by which messages name it. */
export interface Line {
  text: string;
  number: number;
}

/**
 * The lines of a text file, a piece of it at a time. A line ends at a line feed and at nothing else: U+2028 and U+0085 stand
 * within texts.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming the file.
 */
export async function* textLines(file: string): AsyncGenerator<Line> {
  let rest: Buffer[] = [];
  let [number, offset] = [0, 0];
  const line = (end: Buffer): Line => {
    const bytes = rest.length === 0 ? end : Buffer.concat([...rest, end]);
    const text = decodeUtf8(bytes, file, offset);
    offset += bytes.length + 1;
    rest = [];
    return { text, number: ++number };
  };
  for await (const part of textBytes(file)) {
    let begin = 0;
    for (let end = part.indexOf(10); end >= 0; end = part.indexOf(10, begin)) {
      yield line(part.subarray(begin, end));
      begin = end + 1;
    }
    if (begin < part.length) rest.push(part.subarray(begin));
  }
  if (rest.length > 0) yield line(Buffer.alloc(0));
}

/** The bytes of a text file, unpacked where its name ends in .gz or .zst, without a byte order mark. */
async function* textBytes(file: string): AsyncGenerator<Buffer> {
  let start: Buffer[] | undefined = [];
  const begun = (bytes: Buffer): Buffer => {
    const kind = foreign(bytes, file);
    if (kind !== undefined) throw badData("text in UTF-8", `"${file}"`, kind);
    return withoutMark(bytes);
  };
  for await (const part of unpacked(file)) {
    start?.push(part);
    if (start === undefined) yield part;
    else if (start.reduce((sum, { length }) => sum + length, 0) >= startBytes) {
      const bytes = Buffer.concat(start);
      start = undefined;
      yield begun(bytes);
    }
  }
  if (start !== undefined && start.length > 0) yield begun(Buffer.concat(start));
}

async function* unpacked(file: string): AsyncGenerator<Buffer> {
  checkString(file, "file");
  const input = createReadStream(file);
  const ending = file.slice(unpackedName(file).length).toLowerCase();
  const checked = ending === "" ? input : pipeline(input, pointerCheck(file), unpacking(ending), () => {});
  try {
    yield* checked as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof CriticalSharpnessError) throw error;
    if ((error as NodeJS.ErrnoException).syscall) throw unreadable("a readable file", file, error);
    throw badData(
      `a whole file that ${ending === ".gz" ? "gzip" : "zstd"} packed`,
      `"${file}"`,
      (error as Error).message,
    );
  } finally {
    input.destroy();
  }
}

function unpacking(ending: string): Transform {
  return ending === ".gz" ? createGunzip() : unpackZstd();
}

/** Passes on what it gets, unless it begins as a Git LFS pointer does. */
function pointerCheck(file: string): Transform {
  let isFirst = true;
  return new Transform({
    transform(part: Buffer, _, done) {
      try {
        if (isFirst) refusePointer(part, "a packed file", file);
        isFirst = false;
        done(null, part);
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

/** Node.js has zstd from 22.15 on only. */
function unpackZstd(): Transform {
  const push = new Decompress();
  const attempt = (part: Uint8Array, isLast: boolean, done: (error?: Error | null) => void) => {
    try {
      push.push(part, isLast);
      done();
    } catch (error) {
      done(error as Error);
    }
  };
  return new Transform({
    construct(done) {
      push.ondata = (part) => this.push(Buffer.from(part));
      done();
    },
    transform: (part: Buffer, _, done) => attempt(part, false, done),
    flush: (done) => attempt(new Uint8Array(), true, done),
  });
}

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
