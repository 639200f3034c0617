import { Readable } from "node:stream";
import { type CsvError, parse } from "csv-parse";
import { checkStrings } from "../checks.js";
import { CriticalSharpnessError } from "../errors.js";
import { badData } from "./errors.js";
import { checkRecordText, documentOf, type RecordText, usualField } from "./template.js";
import { textLines, unpackedName } from "./text-file.js";
import type { Texts } from "./texts.js";

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
