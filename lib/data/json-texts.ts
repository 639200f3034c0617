import { checkStrings } from "../checks.js";
import { badData } from "./errors.js";
import { checkRecordText, documentOf, type RecordText } from "./template.js";
import { readText } from "./text-file.js";
import { jsonLinesTexts, type Texts } from "./texts.js";

/**
 * The texts of JSON files (also packed: .gz, .zst): an array of strings or objects, alone or as a member of an object such as
 * `{"data": […]}`. Of each object what `text` makes of it, see `jsonLinesTexts`, whose files are read too, as Hugging Face's
 * datasets calls them .json. A file is held whole.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and element.
 */
export async function* jsonTexts(files: readonly string[], text?: RecordText | string): Texts {
  const make = checkRecordText(text, "text");
  for (const file of checkStrings(files, "files")) {
    const content = await readText(file);
    if (isLines(content)) {
      yield* jsonLinesTexts([file], text);
      continue;
    }
    const records = recordsOf(parse(content, file), file);
    for (const [i, record] of records.entries()) yield documentOf(record, make, `element ${i} of "${file}"`);
  }
}

/** Whether a whole object is the first of several lines. */
function isLines(content: string): boolean {
  const start = content.search(/\S/);
  const end = content.indexOf("\n", start);
  if (content[start] !== "{" || end < 0 || content.slice(end).trim() === "") return false;
  try {
    JSON.parse(content.slice(start, end));
    return true;
  } catch {
    return false;
  }
}

function parse(content: string, file: string): unknown {
  if (content.trim() === "") throw badData("JSON", `"${file}"`, "an empty file");
  try {
    return JSON.parse(content);
  } catch (error) {
    throw badData("JSON", `"${file}"`, (error as Error).message);
  }
}

function recordsOf(value: unknown, file: string): unknown[] {
  if (Array.isArray(value)) return value;
  const isRecords = (member: unknown): member is unknown[] =>
    Array.isArray(member) &&
    member.every((one) => typeof one === "string" || (typeof one === "object" && one));
  const members = Object.entries(value ?? {}).filter(([, member]) => isRecords(member));
  const [only] = members.filter(([name]) => name === "data" || members.length === 1);
  if (only) return only[1] as unknown[];
  if (typeof value === "object" && value !== null && members.length === 0) return [value];
  const received = members.length > 0 ? members.map(([name]) => name).join(" and ") : `${value}`;
  throw badData('an array of records, or {"data": [record, …]},', `"${file}"`, received);
}
