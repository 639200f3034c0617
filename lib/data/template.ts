import { checkString } from "../checks.js";
import { expected } from "../errors.js";
import { badData } from "./errors.js";

/** Makes a text of a record. */
export interface RecordText {
  /** The record's own fields that it looks at. */
  readonly fields: readonly string[];
  /** @param source where the record stands, for messages. */
  of(record: unknown, source: string): string;
}

/** A name stands for the text under it. @throws TypeError, RangeError if it is neither a name nor a RecordText. */
export function checkRecordText(value: unknown, subject: string): RecordText {
  const { fields, of } = (typeof value === "object" && value !== null ? value : {}) as Partial<RecordText>;
  if (Array.isArray(fields) && typeof of === "function") return value as RecordText;
  if (typeof value !== "string") throw expected("a field's name or a RecordText", subject, value);
  return fieldText(checkString(value, subject));
}

/** The text is the string under one name. */
export function fieldText(field: string): RecordText {
  return {
    fields: [field],
    of(record, source) {
      const text = memberOf(record, field);
      if (typeof text === "string") return text;
      throw badData(`a string under "${field}"`, source, text === undefined ? "none" : typeof text);
    },
  };
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
      template.replace(place, (whole) => (places.get(whole) as RecordText).of(record, source)),
  };
}

function valueAt(path: string): RecordText {
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
        throw badData(`text or a number under "${path}"`, source, part === undefined ? "none" : typeof part);
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
