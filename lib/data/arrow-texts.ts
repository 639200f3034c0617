import { isUtf8 } from "node:buffer";
import { createReadStream, type ReadStream } from "node:fs";
import type { Data, RecordBatch } from "apache-arrow";
import { CriticalSharpnessError } from "../errors.js";
import { badData, openFile, refusePointer, unreadable } from "../files/index.js";
import { checkStrings } from "../options/index.js";

import { checkRecordText, documentOf, type RecordText, usualField } from "./template.js";
import type { Texts } from "./texts.js";

const fileMagic = "ARROW1";

/**
 * The texts of Arrow files, streams as Hugging Face's datasets saves them or files: of each row what `text` makes of it, by
 * default the string in the column "text", else the token ids in "input_ids". A batch of rows is held at a time.
 *
 * @throws CriticalSharpnessError `ERR_FILE`, `ERR_DATA` naming file, column and row.
 */
export async function* arrowTexts(files: readonly string[], text?: RecordText | string): Texts {
  const given = checkRecordText(text, "text");
  for (const file of checkStrings(files, "files")) {
    let row = 0;
    for await (const batch of batches(file)) {
      const make = given ?? usualField(batch.schema.names as string[], `"${file}"`);
      const columns = make.fields.map((field) => [field, columnOf(batch, field, file)] as const);
      for (let i = 0; i < batch.numRows; i++) {
        const record = Object.fromEntries(columns.map(([field, column]) => [field, plain(column.get(i))]));
        yield documentOf(record, make, `row ${row++} of "${file}"`);
      }
    }
  }
}

async function* batches(file: string): AsyncGenerator<RecordBatch> {
  library ??= loadArrow();
  const { RecordBatchReader } = await library;
  let source: ReadStream | undefined;
  try {
    source = createReadStream(file, { start: await streamStart(file) });
    const reader = await RecordBatchReader.from(source);
    await reader.open();
    if (!reader.schema) throw new Error("no schema");
    for await (const batch of reader) yield batch;
  } catch (error) {
    if (error instanceof CriticalSharpnessError) throw error;
    if ((error as NodeJS.ErrnoException).syscall) throw unreadable("a readable file", file, error);
    throw badData("an Arrow file", `"${file}"`, (error as Error).message);
  } finally {
    source?.destroy();
  }
}

let library: Promise<typeof import("apache-arrow")> | undefined;

/** Loaded when it is needed: it is large. */
async function loadArrow(): Promise<typeof import("apache-arrow")> {
  const { ByteBuffer } = await import("flatbuffers");
  // A damaged count of some billions would be believed, and as many objects made.
  const count = ByteBuffer.prototype.__vector_len;
  ByteBuffer.prototype.__vector_len = function (offset) {
    const length = count.call(this, offset);
    if (length >= 0 && length <= this.capacity()) return length;
    throw new Error(`a vector of ${length} elements in ${this.capacity()} bytes`);
  };
  return import("apache-arrow");
}

/**
 * Where the stream begins, which in a file follows the magic bytes. A stream that was cut short where a batch ends would look
 * like a whole one.
 */
async function streamStart(file: string): Promise<number> {
  await using handle = await openFile(file, "r");
  const { size } = await handle.stat();
  const start = Buffer.alloc(64);
  const end = Buffer.alloc(8);
  await handle.read(start, 0, 64, 0);
  await handle.read(end, 0, 8, Math.max(0, size - 8));
  refusePointer(start, "an Arrow file", file);
  if (start.toString("latin1", 0, fileMagic.length) === fileMagic) {
    if (end.toString("latin1", 8 - fileMagic.length) === fileMagic) return 8;
  } else if (size >= 8 && end.readUInt32LE(4) === 0) return 0;
  throw badData("a whole Arrow file", `"${file}"`, `${size} bytes that do not end as one does`);
}

function columnOf(batch: RecordBatch, field: string, file: string) {
  const column = batch.getChild(field);
  if (!column)
    throw badData(
      `a column "${field}"`,
      `"${file}"`,
      `${batch.schema.fields.length} of other names: ${batch.schema.names.slice(0, 8).join(", ")}`,
    );
  for (const data of column.data) checkOffsets(data, `column "${field}" of "${file}"`);
  return column;
}

/** What the library takes as it is: where each text or list begins, and that texts are UTF-8. */
function checkOffsets(data: Data, source: string): void {
  const offsets = data.valueOffsets as ArrayLike<number | bigint> | undefined;
  const inner = data.children[0];
  const isText = inner === undefined && data.values instanceof Uint8Array && offsets !== undefined;
  if (offsets && data.length > 0 && (isText || inner)) {
    const room = isText ? data.values.length : (inner as Data).length;
    let before = 0;
    for (let i = 0; i <= data.length; i++) {
      const at = Number(offsets[i]);
      if (!(at >= before && at <= room))
        throw badData("texts within their buffer", source, `one that ends at ${at}`);
      before = at;
    }
    if (isText && !isUtf8(data.values.subarray(Number(offsets[0]), before)))
      throw badData("UTF-8", source, "bytes that are none");
  }
  for (const child of data.children) if (child) checkOffsets(child, source);
}

/** Lists as rows of numbers, structures as objects. */
function plain(value: unknown): unknown {
  const { toJSON } = (value ?? {}) as { toJSON?: () => unknown };
  return typeof value === "object" && typeof toJSON === "function" ? toJSON.call(value) : value;
}
