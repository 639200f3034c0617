import type { AsyncBuffer, ColumnMetaData, PageHeader, RowGroup } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";

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
