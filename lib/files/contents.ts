import path from "node:path";
import { badData } from "./file.js";

/** Bytes at the beginning of a file from which `foreign` tells what it is. */
export const startBytes = 4096;

const named = (ending: string) => (file: string) => `name it "${path.basename(file)}${ending}"`;
const run = (command: string) => (file: string) => `run \`${command} "${file}"\``;
const utf16 = (encoding: string) => (file: string) =>
  `run \`iconv -f ${encoding} -t UTF-8 "${file}" > utf8.txt\``;

const kinds: readonly [start: string, what: string, remedy: (file: string) => string][] = [
  [
    "version https://git-lfs.github.com/spec/",
    "a Git LFS pointer in place of the file",
    () => "run `git lfs pull`",
  ],
  ["\x1f\x8b", "bytes that gzip packed", named(".gz")],
  ["\x28\xb5\x2f\xfd", "bytes that zstd packed", named(".zst")],
  ["BZh", "bytes that bzip2 packed", run("bunzip2 -k")],
  ["\xfd7zXZ\0", "bytes that xz packed", run("unxz -k")],
  ["PK\x03\x04", "a zip archive", run("unzip")],
  ["PAR1", "a Parquet file", named(".parquet")],
  ["ARROW1", "an Arrow file", named(".arrow")],
  ["\xff\xff\xff\xff", "an Arrow stream", named(".arrow")],
  ["\x93NUMPY", "an array of NumPy's", named(".npy")],
  ["%PDF-", "a PDF", run("pdftotext")],
  ["\xff\xfe\0\0", "text in UTF-32", utf16("UTF-32")],
  ["\xff\xfe", "text in UTF-16", utf16("UTF-16")],
  ["\xfe\xff", "text in UTF-16", utf16("UTF-16")],
];

/** What a file is, and what helps, where its first bytes say that it is certainly no text in UTF-8. */
export function foreign(start: Buffer, file: string): string | undefined {
  const head = start.toString("latin1", 0, 64);
  const found = kinds.find(([magic]) => head.startsWith(magic));
  if (found) return `${found[1]}: ${found[2](file)}`;
  // Without a mark: every second byte of plain letters is 0.
  for (const [parity, encoding] of [
    [1, "UTF-16LE"],
    [0, "UTF-16BE"],
  ] as const) {
    const zeros = start.filter((byte, i) => byte === 0 && i % 2 === parity).length;
    if (start.length >= 8 && zeros > 0.4 * start.length) return `text in UTF-16: ${utf16(encoding)(file)}`;
  }
  return undefined;
}

/** @throws CriticalSharpnessError `ERR_DATA` if the file has not been fetched yet. */
export function refusePointer(start: Buffer, what: string, file: string): void {
  const [magic] = kinds[0] as (typeof kinds)[number];
  if (start.toString("latin1", 0, magic.length) === magic)
    throw badData(what, `"${file}"`, foreign(start, file) as string);
}
