import * as z from "zod";
import { CriticalSharpnessError, expected } from "../errors.js";

/** An object without keys of unknown meaning; the error for one names the keys that there are. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const keys = Object.keys(shape)
    .filter((key) => key !== "$schema")
    .join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? `one of ${keys}` : undefined),
  });
}

/** A whole number ≥ 1. */
export const count = z.int().min(1);
/** A whole number ≥ 0 that random numbers begin at. */
export const seedSchema = z.int().min(0);
/** Text that is not empty: a name, or a path. */
export const name = z.string().min(1);
/** At least one of them. */
export const names = z.array(name).min(1);
/** At least 0 and less than 1. */
export const fraction = z.number().min(0).lt(1);
/** What a configuration names for editors, and nobody else reads. */
export const schemaKey = z.string().optional().describe("A JSON Schema for editors, see docs/reference.md.");

/** The error for a configuration that cannot be used; `file` is named if there is one. */
export function badConfiguration(message: string, file: string | undefined): CriticalSharpnessError {
  return new CriticalSharpnessError("ERR_CONFIGURATION", file ? `${message} (in ${file})` : message);
}

/** One message a user can act on, from the first thing that zod found. */
export function explain(error: z.ZodError, input: unknown): string {
  const issue = error.issues[0] as z.core.$ZodIssue;
  const subject = pathName(issue.path);
  if (issue.code === "unrecognized_keys")
    return expected(
      issue.message,
      issue.path.length === 0 ? "a key" : `a key of ${subject}`,
      issue.keys[0],
      "range",
    ).message;
  return expected(describeIssue(issue), subject, valueAt(input, issue.path), "range").message;
}

/**
 * A function's options by the schemas of its keys, with their defaults; keys without a schema are left alone.
 *
 * @throws TypeError, RangeError naming the option, `<subject>.betas[1]`.
 */
export function checkSet<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  given: Record<string, unknown>,
  subject: string,
): z.output<z.ZodObject<Shape>> {
  const parsed = z.object(shape).safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0] as z.core.$ZodIssue;
  const value = valueAt(given, issue.path);
  const isNumber = issue.code === "invalid_type" && issue.expected === "number" && typeof value === "number";
  const isType = issue.code === "invalid_type" && !isNumber;
  throw expected(
    describeIssue(issue),
    `${subject}.${pathName(issue.path)}`,
    value,
    isType ? "type" : "range",
  );
}

/** optimizer.betas[1] */
export function pathName(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "the configuration";
  return path
    .map((key, i) => (typeof key === "number" ? `[${key}]` : `${i > 0 ? "." : ""}${String(key)}`))
    .join("");
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return value;
}

/** What would do in the place of what was found. */
export function describeIssue(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return kinds[issue.expected] ?? issue.expected;
    case "invalid_value":
      return issue.values.map((v) => JSON.stringify(v)).join(" or ");
    case "invalid_union":
      return ((issue as { options?: unknown[] }).options ?? []).map((v) => JSON.stringify(v)).join(" or ");
    case "too_small":
      return bound(issue.origin, issue.inclusive ? "≥" : ">", "at least", Number(issue.minimum));
    case "too_big":
      return bound(issue.origin, issue.inclusive ? "≤" : "<", "at most", Number(issue.maximum));
    default:
      return issue.message;
  }
}

const kinds: Record<string, string> = {
  int: "an integer",
  number: "a finite number",
  string: "a string",
  object: "an object",
  record: "an object",
  array: "an array",
  tuple: "an array",
  boolean: "true or false",
};

function bound(origin: string, sign: string, words: string, limit: number): string {
  if (origin === "array") return `${words} ${limit} element${limit === 1 ? "" : "s"}`;
  if (origin === "string") return "a non-empty string";
  return `${origin === "int" ? "an integer" : "a number"} ${sign} ${limit}`;
}

export interface ConfigurationPlace {
  /** The file that the configuration comes from, for messages. */
  file?: string;
  /** What relative paths are relative to. Default: the current directory. */
  base?: string;
}
