import * as z from "zod";
import { type BadArgument, expected } from "../errors.js";
import { describeIssue, inWords, layers, pathName } from "./schema.js";

/** An object of a class, told by what it can do. */
export function instance<T>(what: string, fits: (value: object) => boolean) {
  return z.custom<T>((value) => typeof value === "object" && value !== null && fits(value), what);
}

/** A function that the caller brings. */
export function callback<Call>() {
  return z.custom<Call>((value) => typeof value === "function", "a function");
}

/** What stops a call. */
export const signalSchema = instance<AbortSignal>("an AbortSignal", (value) => value instanceof AbortSignal);

/**
 * The options of a call, as their set says.
 *
 * @param subject what they are called in a message
 * @throws TypeError, RangeError naming the option and what it takes.
 */
export function readOptions<Set extends z.ZodType>(
  set: Set,
  value: unknown,
  subject = "options",
): z.output<Set> {
  const { data, error } = set.safeParse(value === undefined ? {} : value);
  if (!error) return data;
  throw badOption(set, value, error.issues[0] as z.core.$ZodIssue, subject);
}

function badOption(set: z.ZodType, value: unknown, issue: z.core.$ZodIssue, subject: string): BadArgument {
  let received = value;
  for (const key of issue.path) received = (received as Record<PropertyKey, unknown> | undefined)?.[key];
  const schema = schemaAt(set, issue.path);
  if (issue.code === "unrecognized_keys") {
    const keys =
      schema instanceof z.ZodObject ? Object.keys(schema.shape).join(", ") : "those that there are";
    return expected(`one of ${keys}`, "the name of an option", issue.keys[0], "range");
  }
  const what = schema instanceof z.ZodNumber ? inWords(schema) : describeIssue(issue);
  const place = [subject, pathName(issue.path)].join(issue.path.length > 0 ? "." : "");
  return expected(what, issue.path.length > 0 ? place : subject, received, kindOf(schema, received));
}

/** Of a number or a name it is the value that is wrong, of anything else the type. */
function kindOf(schema: z.ZodType | undefined, received: unknown): "type" | "range" {
  const wanted =
    schema instanceof z.ZodNumber ? "number" : schema instanceof z.ZodEnum ? "string" : undefined;
  const isList = schema instanceof z.ZodArray && Array.isArray(received);
  return typeof received === wanted || isList ? "range" : "type";
}

/** The schema of a place, without its default and whether it may be left out; undefined within one of several forms. */
function schemaAt(set: z.ZodType, path: readonly PropertyKey[]): z.ZodType | undefined {
  let schema = layers(set).at(-1);
  for (const key of path) {
    const inner: unknown =
      schema instanceof z.ZodObject
        ? schema.shape[String(key)]
        : schema instanceof z.ZodArray
          ? schema.element
          : schema instanceof z.ZodRecord
            ? schema.valueType
            : undefined;
    if (!(inner instanceof z.ZodType)) return undefined;
    schema = layers(inner).at(-1);
  }
  return schema;
}
