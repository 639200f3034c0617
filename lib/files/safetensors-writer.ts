import { rmSync } from "node:fs";
import { type FileHandle, rename, rm } from "node:fs/promises";
import { throwIfAborted } from "../errors.js";
import { openFile, writing } from "./file.js";

/** A tensor to be written; `read` gives `length` of its bytes from `byteOffset`, little-endian. */
export interface TensorSource {
  name: string;
  dtype: keyof typeof dtypes;
  shape: readonly number[];
  read(byteOffset: number, length: number): Promise<ArrayBuffer>;
}

/** Names in the file, and bytes an element. */
const dtypes = {
  float32: { name: "F32", bytes: 4 },
  float64: { name: "F64", bytes: 8 },
  bfloat16: { name: "BF16", bytes: 2 },
  float16: { name: "F16", bytes: 2 },
  int64: { name: "I64", bytes: 8 },
  int32: { name: "I32", bytes: 4 },
  int16: { name: "I16", bytes: 2 },
  int8: { name: "I8", bytes: 1 },
  uint8: { name: "U8", bytes: 1 },
  bool: { name: "BOOL", bytes: 1 },
} as const;

/** What is held in memory of a tensor while it is written. */
const chunkBytes = 4 << 20;
/** After so many the disk is waited for: a process that ends waits for what is being flushed. */
const flushBytes = 16 << 20;

export interface WriteOptions {
  metadata?: Record<string, string>;
  /** Stops it at the next chunk. */
  signal?: AbortSignal | undefined;
  /** Throws where what was read meanwhile is not what it was at first. */
  check?: () => void;
  /** Of a group: the first one writes, the others give what they keep of the tensors. Default 0. */
  rank?: number;
}

/**
 * Writes a safetensors file, a chunk at a time. The file appears whole or not at all (a temporary file is renamed),
 * and readers of an older file of that name, memory-mapped ones too, keep what they had.
 *
 * @throws CriticalSharpnessError `ERR_FILE` when the file cannot be written; AbortError.
 */
export async function writeSafetensors(
  path: string,
  sources: readonly TensorSource[],
  { metadata = {}, signal, check = () => {}, rank = 0 }: WriteOptions = {},
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt", ...metadata } };
  let end = 0;
  const lengths = sources.map(({ name, dtype, shape }) => {
    const length = shape.reduce((n, s) => n * s, 1) * dtypes[dtype].bytes;
    header[name] = { dtype: dtypes[dtype].name, shape, data_offsets: [end, end + length] };
    end += length;
    return length;
  });
  const chunks = async (take: (chunk: Uint8Array) => Promise<void>): Promise<void> => {
    for (const [i, source] of sources.entries()) {
      const length = lengths[i] as number;
      for (let offset = 0; offset < length; offset += chunkBytes) {
        throwIfAborted(signal);
        await take(new Uint8Array(await source.read(offset, Math.min(chunkBytes, length - offset))));
      }
    }
    throwIfAborted(signal);
    check();
  };
  if (rank > 0) return chunks(async () => {});

  // Padded with spaces to a cache line, so that a mapped tensor starts aligned.
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((64 - ((8 + json.length) % 64)) % 64, " ")]);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));

  const temporary = `${path}.${process.pid}.tmp`;
  throwIfAborted(signal);
  await writing(path, async () => {
    unfinished.add(temporary);
    try {
      await using file = await openFile(temporary, "w");
      const flush = flusher(file);
      await file.writeFile(Buffer.concat([prefix, padded]));
      await chunks(async (chunk) => {
        await file.writeFile(chunk);
        await flush(chunk.length);
      });
      await file.sync();
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    } finally {
      unfinished.delete(temporary);
    }
  });
}

/** Flushes a file to the disk each time that enough was written. */
function flusher(file: FileHandle) {
  let waiting = 0;
  return async (written: number): Promise<void> => {
    waiting += written;
    if (waiting < flushBytes) return;
    waiting = 0;
    await file.datasync();
  };
}

/** Temporary files that are being written: a process that ends meanwhile takes them along. */
const unfinished = new Set<string>();
process.on("exit", () => {
  for (const file of unfinished) rmSync(file, { force: true });
});
