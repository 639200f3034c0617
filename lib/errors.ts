/** Failure of an operation whose input was well formed. `code` is stable and meant for programs. */
export class CriticalSharpnessError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CriticalSharpnessError";
    this.code = code;
  }
}

/** What an aborted operation rejects with; `cause` is the signal's reason. */
export class AbortError extends CriticalSharpnessError {
  constructor(signal?: AbortSignal) {
    super("ABORT_ERR", "The operation was aborted", { cause: signal?.reason });
    this.name = "AbortError";
  }
}

/** Throws an AbortError if the signal has been aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal);
}

/** A short, one-line rendering of any value, for messages. */
function render(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `a function`;
  if (typeof value === "symbol") return "a symbol";
  if (Array.isArray(value)) {
    const shown = value.slice(0, 6).map((v) => (typeof v === "object" && v !== null ? "…" : render(v)));
    return `[${shown.join(", ")}${value.length > 6 ? `, … ${value.length} in all` : ""}]`;
  }
  if (typeof value === "object" && value !== null)
    return `an instance of ${value.constructor?.name ?? "Object"}`;
  return String(value);
}

export type BadArgument = (TypeError | RangeError) & { code: string };

/**
 * The error for an argument that cannot be used: "Expected <what> for <subject> but received <received>".
 * A value of the wrong type is a TypeError (`ERR_INVALID_ARG_TYPE`), one that is out of range a RangeError
 * (`ERR_OUT_OF_RANGE`).
 */
export function expected(
  what: string,
  subject: string,
  received: unknown,
  kind: "type" | "range" = "type",
): BadArgument {
  const message = `Expected ${what} for ${subject} but received ${render(received)}`;
  const error = kind === "type" ? new TypeError(message) : new RangeError(message);
  return Object.assign(error, { code: kind === "type" ? "ERR_INVALID_ARG_TYPE" : "ERR_OUT_OF_RANGE" });
}

/**
 * The same of what stands in a file or a folder: "Expected <what> for <subject> but received <received>", with a code of
 * its own.
 */
export function unusable(
  code: string,
  what: string,
  subject: string,
  received: string,
  cause?: unknown,
): CriticalSharpnessError {
  const message = `Expected ${what} for ${subject} but received ${received}`;
  return new CriticalSharpnessError(code, message, cause === undefined ? undefined : { cause });
}
