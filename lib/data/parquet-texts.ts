import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  type SchemaElement,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { checkStrings } from "../checks.js";
import { CriticalSharpnessError } from "../errors.js";
import { refusePointer } from "./contents.js";
import { badData, unreadable } from "./errors.js";
import { checkPages } from "./parquet-pages.js";
import { checkRecordText, documentOf, type RecordText, usualField } from "./template.js";
import type { Texts } from "./texts.js";

/**
 * The texts of Parquet files: of each row what `text` makes of it, by default the string in the column "text", else the token
 * ids in "input_ids". Only the columns in use are read, a row group at a time.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file, column and row.
 */
export async function* parquetTexts(files: readonly string[], text?: RecordText | string): Texts {
  const given = checkRecordText(text, "text");
  for (const path of checkStrings(files, "files")) {
    const file = await asyncBufferFromFile(path).catch((error) => {
      throw unreadable("a readable file", path, error);
    });
    refusePointer(Buffer.from(await file.slice(0, Math.min(64, file.byteLength))), "a Parquet file", path);
    const metadata = await decoding(path, () => parquetMetadataAsync(file));
    const make = given ?? usualField(columnsOf(metadata), `"${path}"`);
    checkColumns(metadata, make.fields, path);
    const options = { file, metadata, compressors, columns: [...make.fields] };
    let row = 0;
    for (const group of metadata.row_groups) {
      const range = { rowStart: row, rowEnd: row + Number(group.num_rows) };
      await decoding(path, () => checkPages(file, group, new Set(make.fields)));
      for (const record of await decoding(path, () => parquetReadObjects({ ...options, ...range })))
        yield documentOf(record, make, `row ${row++} of "${path}"`);
    }
  }
}

/** Names of the columns, without what lies within them. */
function columnsOf({ schema }: FileMetaData): string[] {
  const names: string[] = [];
  for (let i = 1; i < schema.length; i++) {
    names.push((schema[i] as SchemaElement).name);
    for (let inner = schema[i]?.num_children ?? 0; inner > 0 && i + 1 < schema.length; inner--)
      inner += schema[++i]?.num_children ?? 0;
  }
  return names;
}

function checkColumns(metadata: FileMetaData, fields: readonly string[], path: string): void {
  const children = metadata.schema[0]?.num_children ?? 0;
  const names = columnsOf(metadata);
  for (const field of fields)
    if (!names.includes(field))
      throw badData(
        `a column "${field}"`,
        `"${path}"`,
        `${children} of other names: ${names.slice(0, 8).join(", ")}`,
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
