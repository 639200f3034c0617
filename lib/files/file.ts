import { fsync } from "node:fs";
import { type FileHandle, open, rename, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { CriticalSharpnessError, unusable } from "../errors.js";

/**
 * Opens a file as `open` of node:fs/promises does, for `await using`: what Yarn's Plug'n'Play puts in place of Node.js' file
 * handles can neither be disposed of nor flushed to the disk.
 */
export async function openFile(path: string, flags: string): Promise<FileHandle> {
  const file: FileHandle = await open(path, flags);
  if (Symbol.asyncDispose in file) return file;
  const flush = () => promisify(fsync)((file as FileHandle).fd);
  return Object.assign(file as FileHandle, {
    [Symbol.asyncDispose]: () => (file as FileHandle).close(),
    sync: flush,
    datasync: flush,
  });
}

/**
 * What a body that writes a file gives; where the system refuses, an error that names the file.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, and whatever else the body throws.
 */
export async function writing<T>(file: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new CriticalSharpnessError(
      "ERR_FILE",
      `Expected a file that can be written for "${file}" but received: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Writes a file, of which the content may come in pieces, so that whoever opens it finds the old one or the new one, never a part. */
export async function writeWhole(
  file: string,
  content: string | Uint8Array | Iterable<string>,
): Promise<void> {
  const next = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(next, content);
    await rename(next, file);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
}

/** The error for data that cannot be used, naming where they come from. */
export function badData(what: string, source: string, received: string): CriticalSharpnessError {
  return unusable("ERR_DATA", what, source, received);
}

/** The error for a file that cannot be read. */
export function unreadable(what: string, file: string, error: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_FILE",
    `Expected ${what} for "${file}" but received: ${(error as Error).message}`,
    { cause: error },
  );
}
