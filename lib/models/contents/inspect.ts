import { stat } from "node:fs/promises";
import { throwIfAborted } from "../../errors.js";
import { unreadable } from "../../files/index.js";
import type { Contents, ListOptions } from "./contents.js";
import { inspectFile, kinds } from "./files.js";
import { inspectFolder } from "./folders.js";

/**
 * Says what a file or folder holds: names, dtypes and shapes of tensors, and plain values. Nothing of a pickle is run, and without
 * `sha256` no tensor is read.
 *
 * @throws CriticalSharpnessError with the reader's own code if it is damaged or of another kind; AbortError
 */
export async function inspect(place: string, options: ListOptions = {}): Promise<Contents> {
  throwIfAborted(options.signal);
  const found = await stat(place).catch((error: unknown) => {
    throw unreadable(kinds, place, error);
  });
  return found.isDirectory() ? inspectFolder(place, options) : inspectFile(place, options);
}
