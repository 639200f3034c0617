import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type ColumnMetaData,
  type FileMetaData,
  type PageHeader,
  parquetMetadataAsync,
  parquetReadObjects,
  type RowGroup,
  type SchemaElement,
} from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { compressors } from "hyparquet-compressors";
import { CriticalSharpnessError } from "../errors.js";
import { badData, refusePointer, unreadable } from "../files/index.js";
import { checkStrings } from "../options/index.js";
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

/**
 * Looks through the page headers of a row group's columns. hyparquet takes them as they are, and a damaged one can send it in
 * circles.
 *
 * @throws Error saying what is wrong.
 */
export async function checkPages(
  file: AsyncBuffer,
  { columns, num_rows }: RowGroup,
  fields: ReadonlySet<string>,
): Promise<void> {
  for (const { meta_data: column } of columns)
    if (column && fields.has(column.path_in_schema[0] as string)) {
      const [rows, values] = [Number(num_rows), Number(column.num_values)];
      if (!isCount(rows) || !isCount(values) || rows > values)
        throw new Error(`a column of ${values} values in ${rows} rows`);
      await checkColumn(file, column);
    }
}

async function checkColumn(file: AsyncBuffer, column: ColumnMetaData): Promise<void> {
  const start = Number(column.dictionary_page_offset || column.data_page_offset);
  const size = Number(column.total_compressed_size);
  if (!isCount(start) || !isCount(size) || start + size > file.byteLength)
    throw new Error(`a column of ${size} bytes at ${start} in a file of ${file.byteLength}`);
  const view = new DataView(await file.slice(start, start + size));
  const reader = { view, offset: 0 };
  let left = Number(column.num_values);
  while (left > 0) {
    const header = parquetHeader(reader);
    const counts = countsOf(header);
    left -= header.type === "DICTIONARY_PAGE" ? 0 : (counts[0] ?? 0);
    if (!counts.every(isCount) || left < 0 || header.compressed_page_size > view.byteLength - reader.offset)
      throw new Error(`a page (${header.type}) whose counts and sizes cannot be: ${counts.join(", ")}`);
    reader.offset += header.compressed_page_size;
  }
}

/** Every number that a page's reader goes by, that of its values first. */
function countsOf(header: PageHeader): (number | undefined)[] {
  const sizes = [header.compressed_page_size, header.uncompressed_page_size];
  switch (header.type) {
    case "DATA_PAGE":
      return [header.data_page_header?.num_values, ...sizes];
    case "DATA_PAGE_V2": {
      const page = header.data_page_header_v2;
      const levels = [page?.repetition_levels_byte_length, page?.definition_levels_byte_length];
      return [page?.num_values, page?.num_nulls, page?.num_rows, ...levels, ...sizes];
    }
    case "DICTIONARY_PAGE":
      return [header.dictionary_page_header?.num_values, ...sizes];
    default:
      return [undefined];
  }
}

function isCount(value: number | undefined): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 40;
}
