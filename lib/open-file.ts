import { fsync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";

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
