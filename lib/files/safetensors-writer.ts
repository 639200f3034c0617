import { rename, rm } from "node:fs/promises";
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
  int64: { name: "I64", bytes: 8 },
} as const;

/** What is held in memory of a tensor while it is written. */
const chunkBytes = 4 << 20;

/**
 * Writes a safetensors file, a chunk at a time. The file appears whole or not at all (a temporary file is renamed),
 * and readers of an older file of that name, memory-mapped ones too, keep what they had.
 *
 * @throws CriticalSharpnessError `ERR_FILE` when the file cannot be written.
 */
export async function writeSafetensors(
  path: string,
  sources: readonly TensorSource[],
  metadata: Record<string, string> = {},
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt", ...metadata } };
  let end = 0;
  const lengths = sources.map(({ name, dtype, shape }) => {
    const length = shape.reduce((n, s) => n * s, 1) * dtypes[dtype].bytes;
    header[name] = { dtype: dtypes[dtype].name, shape, data_offsets: [end, end + length] };
    end += length;
    return length;
  });
  // Padded with spaces to a cache line, so that a mapped tensor starts aligned.
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((64 - ((8 + json.length) % 64)) % 64, " ")]);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));

  const temporary = `${path}.${process.pid}.tmp`;
  await writing(path, async () => {
    try {
      await using file = await openFile(temporary, "w");
      await file.writeFile(Buffer.concat([prefix, padded]));
      for (const [i, source] of sources.entries()) {
        const length = lengths[i] as number;
        for (let offset = 0; offset < length; offset += chunkBytes)
          await file.writeFile(
            new Uint8Array(await source.read(offset, Math.min(chunkBytes, length - offset))),
          );
      }
      await file.sync();
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  });
}
