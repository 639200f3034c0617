import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { checkStrings } from "../checks.js";
import { CriticalSharpnessError } from "../errors.js";
import { badData, unreadable } from "./errors.js";
import { checkPages } from "./parquet-pages.js";
import { checkRecordText, type RecordText } from "./template.js";
import type { Texts } from "./texts.js";

/**
 * The texts of Parquet files: of each row what `text` makes of it, by default the string in the column "text". Only the
 * columns in use are read, a row group at a time.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file, column and row.
 */
export async function* parquetTexts(files: readonly string[], text: RecordText | string = "text"): Texts {
  const make = checkRecordText(text, "text");
  for (const path of checkStrings(files, "files")) {
    const file = await asyncBufferFromFile(path).catch((error) => {
      throw unreadable("a readable file", path, error);
    });
    const metadata = await decoding(path, () => parquetMetadataAsync(file));
    checkColumns(metadata, make.fields, path);
    const options = { file, metadata, compressors, columns: [...make.fields] };
    let row = 0;
    for (const group of metadata.row_groups) {
      const range = { rowStart: row, rowEnd: row + Number(group.num_rows) };
      await decoding(path, () => checkPages(file, group, new Set(make.fields)));
      for (const record of await decoding(path, () => parquetReadObjects({ ...options, ...range })))
        yield make.of(record, `row ${row++} of "${path}"`);
    }
  }
}

function checkColumns({ schema }: FileMetaData, fields: readonly string[], path: string): void {
  const children = schema[0]?.num_children ?? 0;
  const names = schema.map(({ name }) => name);
  for (const field of fields)
    if (!names.includes(field))
      throw badData(
        `a column "${field}"`,
        `"${path}"`,
        `${children} of other names: ${names.slice(1, 9).join(", ")}`,
      );
}

async function decoding<T>(path: string, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof CriticalSharpnessError) throw error;
    throw badData("a Parquet file", `"${path}"`, (error as Error).message);
  }
}
