/** A result on standard output: JSON for machines, or lines for people. */
export function print(result: unknown, json: boolean | undefined, lines: () => string[]): void {
  process.stdout.write(`${json ? JSON.stringify(result, null, 2) : lines().join("\n")}\n`);
}

/** Labels and values, the values in a column. */
export function table(rows: readonly (readonly [label: string, value: string])[]): string[] {
  const width = rows.reduce((most, [label]) => Math.max(most, label.length), 0);
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
}

/** A number with four significant digits. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return Number(value.toPrecision(4)).toString();
}

/** 1 h 5 min, 3 min 20 s, 12 s */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/** Every string in a result, a line each: the files that it names. */
export function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : [];
}

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
