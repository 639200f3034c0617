/** Called by a command that ends otherwise than done, though without an error. */
export type SetStatus = (code: number) => void;

/** How a command ended, for the shell. */
export const exitCodes = { done: 0, failed: 1, badUsage: 2 } as const;

/** Command-line arguments that do not go together. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A flag's value, a configuration or an option of the library that cannot be used is bad usage; the rest are failures. */
const usageCodes = new Set(["ERR_CONFIGURATION", "ERR_INVALID_ARG_TYPE", "ERR_OUT_OF_RANGE"]);

export function exitCodeOf(error: unknown): number {
  const { code } = (error ?? {}) as { code?: unknown };
  const isUsage = error instanceof UsageError || (typeof code === "string" && usageCodes.has(code));
  return isUsage ? exitCodes.badUsage : exitCodes.failed;
}

/** One message; with `verbose` the stacks of the error and its causes. */
export function failureMessage(error: unknown, verbose: boolean): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  if (!verbose) return `error: ${error.message}`;
  const stacks: string[] = [];
  for (let e: unknown = error; e instanceof Error; e = e.cause) stacks.push(e.stack ?? e.message);
  return `error: ${stacks.join("\ncaused by: ")}`;
}
