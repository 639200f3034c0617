import { expected } from "../errors.js";
import { badData } from "../files/index.js";
import { checkString } from "../options/index.js";
import { isRow, tokenIds } from "./tokens.js";

/** A text, or the ids of one that was tokenized before. */
export type Document = string | Uint32Array;

/** Makes a text of a record. */
export interface RecordText {
  /** The record's own fields that it looks at. */
  readonly fields: readonly string[];
  /** @param source where the record stands, for messages. */
  of(record: unknown, source: string): Document;
}

/** A name stands for the text under it. @throws TypeError, RangeError if it is neither a name nor a RecordText. */
export function checkRecordText(value: unknown, subject: string): RecordText | undefined {
  if (value === undefined) return undefined;
  const { fields, of } = (typeof value === "object" && value !== null ? value : {}) as Partial<RecordText>;
  if (Array.isArray(fields) && typeof of === "function") return value as RecordText;
  if (typeof value !== "string") throw expected("a field's name or a RecordText", subject, value);
  return fieldText(checkString(value, subject));
}

/** The text is the string, or the row of token ids, under one name. */
export function fieldText(field: string): RecordText {
  return {
    fields: [field],
    of(record, source) {
      const value = memberOf(record, field);
      if (typeof value === "string") return value;
      if (isRow(value)) return tokenIds(value, field, source);
      throw badData(`a string or token ids under "${field}"`, source, absent(value));
    },
  };
}

function absent(value: unknown): string {
  if (value === undefined) return "none";
  if (value === null)
    return "null: leave out the records that have no text, or give a --template of other fields";
  return typeof value;
}

/**
 * What stands for the text where nobody says: the field "text", else "input_ids".
 *
 * @param names of the record's fields
 * @throws CriticalSharpnessError `ERR_DATA` if it has neither.
 */
export function usualField(names: readonly string[], source: string): RecordText {
  const found = ["text", "input_ids"].find((name) => names.includes(name));
  if (found !== undefined) return fieldText(found);
  throw badData(
    'a field "text" or "input_ids"',
    source,
    names.length === 0 ? "no field" : `${names.slice(0, 8).join(", ")}: name one, --field ${names[0]}`,
  );
}

/** The text of a record, of which `text` says where it stands. A record that is a string is its own text. */
export function documentOf(record: unknown, text: RecordText | undefined, source: string): Document {
  if (text) return text.of(record, source);
  if (typeof record === "string") return record;
  const isObject = typeof record === "object" && record !== null && !Array.isArray(record);
  if (!isObject)
    throw badData("an object or a string", source, Array.isArray(record) ? "an array" : `${record}`);
  return usualField(Object.keys(record), source).of(record, source);
}

const place = /\{([^{}]+)\}/g;
const step = /^(?:\.?([\w-]+)|\[([\w-]+)\])/;

/**
 * A text with places that a record fills: `{question}`, `{meta.title}`, `{choices[0]}`, and `{choices[answer]}`, where
 * `answer` is another field of the record. An array's elements stand on lines of their own.
 *
 * @throws CriticalSharpnessError `ERR_DATA` if it has no place, or one that is none.
 */
export function templateText(template: string): RecordText {
  checkString(template, "template");
  const places = new Map(
    [...template.matchAll(place)].map(([whole, path]) => [whole, valueAt(path as string)]),
  );
  if (places.size === 0) throw badData("at least one {field}", "the template", JSON.stringify(template));
  return {
    fields: [...new Set([...places.values()].flatMap(({ fields }) => fields))],
    of: (record, source) =>
      template.replace(place, (whole) => (places.get(whole) as Place).of(record, source)),
  };
}

/** As `RecordText`, and always text. */
interface Place {
  fields: string[];
  of(record: unknown, source: string): string;
}

function valueAt(path: string): Place {
  const steps: { name: string; indirect: boolean }[] = [];
  for (let rest = path; rest !== ""; ) {
    const found = step.exec(rest);
    if (!found) throw badData("{field}, {field.name} or {field[index]}", "the template", `{${path}}`);
    const [whole, name, index] = found;
    steps.push({ name: (name ?? index) as string, indirect: index !== undefined && !/^\d+$/.test(index) });
    rest = rest.slice(whole.length);
  }
  return {
    fields: steps.filter(({ indirect }, i) => i === 0 || indirect).map(({ name }) => name),
    of(record, source) {
      let value = record;
      for (const { name, indirect } of steps)
        value = memberOf(value, indirect ? String(memberOf(record, name)) : name);
      const texts = (Array.isArray(value) ? value : [value]).map((part) => {
        if (typeof part === "string" || typeof part === "number" || typeof part === "bigint")
          return String(part);
        throw badData(
          `text or a number under "${path}"`,
          source,
          part === undefined ? "none" : part === null ? "null" : typeof part,
        );
      });
      return texts.join("\n");
    },
  };
}

/** Own members only: a field called `constructor` is a field. */
function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
