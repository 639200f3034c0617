import { type Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { badConfiguration, describeIssue, inWords, isWhole, layers } from "./schema.js";

/** How a key of an option set is said on the command line. */
export interface Flag {
  /** As in commander: "--steps <n>", "--data <path...>", "--directional", "--no-weight-decay". */
  flag: string;
  /** What its help says. Default: the key's description. */
  help?: string;
  /** Where in the key its value stands, if it is not the key's own. */
  at?: readonly string[];
  choices?: readonly string[];
  /** Of a flag without an argument: what it stands for. Default: true; false of "--no-…". Of an array: what it adds. */
  value?: unknown;
  /** What the text of an argument stands for. Default: by the key's type. */
  read?: (text: string) => unknown;
  /** The same for all texts of an argument that takes several. */
  readAll?: (texts: string[]) => unknown;
  /** Keys of the whole set and their values where the argument is 0, which the key itself does not take. */
  never?: Readonly<Record<string, unknown>>;
}

/** Keys that have flags: `schema.register(flags, { flag: "--steps <n>" })`, on a schema of the key's own. A list: several flags. */
export const flags = z.registry<Flag | { flags: readonly Flag[] }>();

interface FoundFlag extends Flag {
  option: Option;
  /** Where its value stands in the set. */
  path: readonly string[];
  /** Of a key that only some forms of a section have: where the name of the form stands, and which it may be. */
  only?: { path: readonly string[]; forms: readonly string[] };
}

/**
 * Gives a command the flags of an option set.
 *
 * @returns makes the set of a command's flags: of an input, what was given on the command line put in its place
 */
export function addFlags(command: Command, set: z.ZodType): (given: object, input?: unknown) => unknown {
  const found = findFlags(set, []);
  for (const { option } of found) command.addOption(option);
  return (given, input = {}) => {
    // What is no object is complained about when it is checked.
    if (typeof input !== "object" || input === null || Array.isArray(input)) return input;
    let result = input as Record<string, unknown>;
    for (const one of found) {
      const value = (given as Record<string, unknown>)[one.option.attributeName()];
      if (value === undefined || isUnsaid(one, value)) continue;
      result = applied(result, one, value);
      checkForm(result, one, found);
    }
    return result;
  };
}

/** Commander gives "--no-…" its default, true, where nothing was said. */
const isUnsaid = ({ option }: FoundFlag, value: unknown) => option.negate && value === true;

function applied(input: Record<string, unknown>, found: FoundFlag, value: unknown): Record<string, unknown> {
  const { never, path, option } = found;
  if (never && value === 0) return { ...input, ...never };
  const takesNone = !option.required && !option.optional;
  const argument = found.readAll ? found.readAll(value as string[]) : value;
  const meant = takesNone ? (found.value ?? !option.negate) : argument;
  return set(input, path, (before) =>
    Array.isArray(meant) && takesNone ? [...list(before), ...meant] : meant,
  );
}

/** @throws CriticalSharpnessError `ERR_CONFIGURATION` where the section has another form, whose keys a flag's is not among. */
function checkForm(set: unknown, { option, only }: FoundFlag, all: readonly FoundFlag[]): void {
  if (!only) return;
  const form = only.path.reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], set);
  if (typeof form !== "string" || only.forms.includes(form)) return;
  const flag = all.find(({ path }) => String(path) === String(only.path))?.option.long ?? only.path.join(".");
  throw badConfiguration(
    `Expected ${option.long} with ${flag} ${only.forms.join(" or ")} only but received it with ${form}`,
    undefined,
  );
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** A copy with another value at a place. */
function set(
  input: unknown,
  [key, ...rest]: readonly string[],
  value: (before: unknown) => unknown,
): Record<string, unknown> {
  const section = typeof input === "object" && input !== null ? (input as Record<string, unknown>) : {};
  const name = key as string;
  const before = section[name];
  return { ...section, [name]: rest.length === 0 ? value(before) : set(before, rest, value) };
}

/** The flags of a set, those of its sections behind one another, each once. */
function findFlags(schema: z.ZodType, path: readonly string[]): FoundFlag[] {
  const byName = new Map<string, FoundFlag>();
  const add = (all: readonly FoundFlag[]) => {
    for (const one of all) {
      const name = one.option.long as string;
      const known = byName.get(name);
      const forms = [...(known?.only?.forms ?? []), ...(one.only?.forms ?? [])];
      byName.set(name, { ...(known ?? one), ...(one.only && { only: { ...one.only, forms } }) });
    }
  };
  for (const layer of layers(schema)) {
    const own = flags.get(layer);
    for (const flag of own ? ("flags" in own ? own.flags : [own]) : [])
      add([{ ...flag, path: [...path, ...(flag.at ?? [])], option: optionOf(flag, layer) }]);
    if (layer instanceof z.ZodObject)
      for (const [key, inner] of Object.entries(layer.shape))
        add(findFlags(inner as z.ZodType, [...path, key]));
    if (layer instanceof z.ZodDiscriminatedUnion)
      for (const inner of layer.options) {
        const { discriminator } = layer.def;
        const [form] = (inner as z.ZodObject).shape[discriminator].values as Set<string>;
        const only = { path: [...path, discriminator], forms: [form as string] };
        add(findFlags(inner as z.ZodType, path).map((one) => ({ only, ...one })));
      }
  }
  return [...byName.values()];
}

function optionOf({ flag, help, read, never, choices }: Flag, schema: z.ZodType): Option {
  const all = layers(schema);
  const described = brief(all.map((one) => one.description).find(Boolean));
  const option = new Option(flag, help ?? `${described}${usualOf(all)}`);
  const plain = all.at(-1) as z.ZodType;
  if (!option.required || option.variadic) return option;
  if (choices) return option.choices(choices);
  if (plain instanceof z.ZodEnum) return option.choices(plain.options.map(String));
  return option.argParser((text) => {
    const value = read ? read(text) : readAs(plain, text);
    if (never && value === 0) return value;
    const parsed = schema.safeParse(value);
    if (parsed.success) return value;
    throw new InvalidArgumentError(`Expected ${wanted(plain, parsed.error)} but received "${text}".`);
  });
}

/** The default of an argument, for its help. */
function usualOf(all: readonly z.ZodType[]): string {
  const usual = all.find((one) => one instanceof z.ZodDefault)?.def.defaultValue;
  return typeof usual === "number" || (typeof usual === "string" && usual !== "")
    ? ` (default: ${usual})`
    : "";
}

/** A description as help is written: in small letters, unless it begins with a name, and without its full stop. */
function brief(description = ""): string {
  const [first = "", second = ""] = description;
  const isWord = /[A-Z]/.test(first) && /[a-z ]/.test(second);
  return `${isWord ? first.toLowerCase() : first}${description.slice(1)}`.replace(/\.$/, "");
}

/** What a schema takes, in words. */
function wanted(schema: z.ZodType, error: z.ZodError): string {
  if (schema instanceof z.ZodTuple) return `${schema.def.items.length} numbers with commas between them`;
  if (schema instanceof z.ZodNumber) return inWords(schema);
  return describeIssue(error.issues[0] as z.core.$ZodIssue).replaceAll('"', "");
}

/** What a text stands for where a value of a type is wanted; the text itself where it stands for none. */
function readAs(schema: z.ZodType, text: string): unknown {
  if (schema instanceof z.ZodNumber) {
    const isNumber = isWhole(schema) ? /^-?\d+$/.test(text) : text.trim() !== "";
    return isNumber && Number.isFinite(Number(text)) ? Number(text) : text;
  }
  if (schema instanceof z.ZodTuple || schema instanceof z.ZodArray)
    return text.split(",").map((part) => readAs(z.number(), part));
  return text;
}
