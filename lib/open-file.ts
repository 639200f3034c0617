import { type FileHandle, open } from "node:fs/promises";

/**
 * Opens a file as `open` of node:fs/promises does, for `await using`: what Yarn's Plug'n'Play puts in place of Node.js' file
 * handles cannot be disposed of.
 */
export async function openFile(path: string, flags: string): Promise<FileHandle> {
  const file = await open(path, flags);
  file[Symbol.asyncDispose] ??= () => file.close();
  return file;
}
