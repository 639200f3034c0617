import * as z from "zod";
import { type BadArgument, expected } from "../errors.js";
import { describeIssue, inWords, layers, pathName } from "./schema.js";

/** Bounds of a number; all optional. */
export interface NumberBounds {
  /** Smallest allowed value. */
  minimum?: number;
  /** Value that it must exceed. */
  above?: number;
  /** Largest allowed value. */
  maximum?: number;
  /** Value that it must stay below. */
  below?: number;
  integer?: boolean;
}

function describe({ minimum, above, maximum, below, integer }: NumberBounds): string {
  const bounds = [
    minimum !== undefined && `≥ ${minimum}`,
    above !== undefined && `> ${above}`,
    maximum !== undefined && `≤ ${maximum}`,
    below !== undefined && `< ${below}`,
  ].filter(Boolean);
  return [integer ? "an integer" : "a finite number", bounds.join(" and ")].filter(Boolean).join(" ");
}

/** The value, if it is a finite number within bounds. */
export function checkNumber(value: unknown, subject: string, bounds: NumberBounds = {}): number {
  const what = describe(bounds);
  if (typeof value !== "number") throw expected(what, subject, value);
  const { minimum = -Infinity, above = -Infinity, maximum = Infinity, below = Infinity, integer } = bounds;
  const inside = value >= minimum && value <= maximum && value > above && value < below;
  if (!Number.isFinite(value) || !inside || (integer && !Number.isSafeInteger(value)))
    throw expected(what, subject, value, "range");
  return value;
}

/** The value, if it is one of the choices. */
export function checkChoice<T extends string>(value: unknown, subject: string, choices: readonly T[]): T {
  if (!choices.includes(value as T)) {
    const what = choices.map((c) => JSON.stringify(c)).join(" or ");
    throw expected(what, subject, value, typeof value === "string" ? "range" : "type");
  }
  return value as T;
}

export function checkBoolean(value: unknown, subject: string): boolean {
  if (typeof value !== "boolean") throw expected("a boolean", subject, value);
  return value;
}

export function checkString(value: unknown, subject: string): string {
  if (typeof value !== "string" || value === "" || value.includes("\0"))
    throw expected("a non-empty string", subject, value, typeof value === "string" ? "range" : "type");
  return value;
}

/** The value, if it is an array of non-empty strings. */
export function checkStrings(value: unknown, subject: string): string[] {
  if (!Array.isArray(value)) throw expected("an array of strings", subject, value);
  return value.map((v, i) => checkString(v, `${subject}[${i}]`));
}

/** The value as a plain record; a missing one is empty. */
export function checkOptions(value: unknown, subject: string): Record<string, unknown> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw expected("an object", subject, value);
  return value as Record<string, unknown>;
}

/** The value, if it is an instance of the class. */
export function checkInstance<T>(
  value: unknown,
  subject: string,
  type: abstract new (...args: never[]) => T,
  name: string,
): T {
  if (!(value instanceof type)) throw expected(name, subject, value);
  return value;
}

export function checkSignal(value: unknown, subject: string): AbortSignal | undefined {
  if (value === undefined) return undefined;
  return checkInstance(value, subject, AbortSignal, "an AbortSignal");
}

/** What a call takes by the shape of its option set: an object of its keys, those with defaults left out or not. */
export type OptionsOf<Shape extends z.core.$ZodLooseShape> = z.core.$InferObjectInput<
  Shape,
  Record<never, never>
>;

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
  const { schema, received } = lookUp(set, value, issue.path);
  if (issue.code === "unrecognized_keys") {
    const keys =
      schema instanceof z.ZodObject ? Object.keys(schema.shape).join(", ") : "those that there are";
    return expected(`one of ${keys}`, "the name of an option", issue.keys[0], "range");
  }
  const what = schema instanceof z.ZodNumber ? inWords(schema) : describeIssue(issue);
  const place = [subject, pathName(issue.path)].join(issue.path.length > 0 ? "." : "");
  return expected(what, issue.path.length > 0 ? place : subject, received, kindOf(schema, received));
}

/** Of what has the right type it is the value that is wrong. */
function kindOf(schema: z.ZodType | undefined, received: unknown): "type" | "range" {
  const isName = [z.ZodEnum, z.ZodString, z.ZodLiteral].some((type) => schema instanceof type);
  const isOfType =
    (schema instanceof z.ZodNumber && typeof received === "number") ||
    (isName && typeof received === "string") ||
    (schema instanceof z.ZodArray && Array.isArray(received));
  return isOfType ? "range" : "type";
}

/** The value of a place and its schema, without its default and whether it may be left out; undefined where nothing tells its form. */
function lookUp(set: z.ZodType, value: unknown, path: readonly PropertyKey[]) {
  let received = value;
  let schema = formOf(layers(set).at(-1), value);
  for (const key of path) {
    received = (received as Record<PropertyKey, unknown> | null | undefined)?.[key];
    const inner: unknown =
      schema instanceof z.ZodObject
        ? schema.shape[String(key)]
        : schema instanceof z.ZodArray
          ? schema.element
          : schema instanceof z.ZodRecord
            ? schema.valueType
            : undefined;
    schema = inner instanceof z.ZodType ? formOf(layers(inner).at(-1), received) : undefined;
  }
  return { schema, received };
}

/** Of several forms the one that a value names; the first, if it names none. */
function formOf(schema: z.ZodType | undefined, value: unknown): z.ZodType | undefined {
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return schema;
  const { discriminator } = schema.def;
  const name = (value as Record<string, unknown> | null | undefined)?.[discriminator];
  const forms = schema.options as z.ZodObject[];
  return forms.find(({ shape }) => shape[discriminator].values.has(name)) ?? forms[0];
}
