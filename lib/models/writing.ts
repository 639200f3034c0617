import { CriticalSharpnessError } from "../errors.js";

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
