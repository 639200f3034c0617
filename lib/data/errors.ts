import { CriticalSharpnessError } from "../errors.js";

/** The error for data that cannot be used, naming where they come from. */
export function badData(what: string, source: string, received: string): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_DATA", `Expected ${what} for ${source} but received ${received}`);
}

/** The error for a file that cannot be read. */
export function unreadable(what: string, file: string, error: unknown): CriticalSharpnessError {
  return new CriticalSharpnessError(
    "ERR_FILE",
    `Expected ${what} for "${file}" but received: ${(error as Error).message}`,
    { cause: error },
  );
}
