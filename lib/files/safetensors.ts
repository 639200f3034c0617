import type { FileHandle } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { CriticalSharpnessError, throwIfAborted, unusable } from "../errors.js";
import type { StorageDtype } from "../torch/index.js";
import { openFile } from "./file.js";
import { foreignBytes, foreignFile } from "./foreign.js";

/** Element types of the format: what they are called here, and their bits. */
const dtypes = {
  F64: { dtype: "float64", bits: 64 },
  F32: { dtype: "float32", bits: 32 },
  F16: { dtype: "float16", bits: 16 },
  BF16: { dtype: "bfloat16", bits: 16 },
  I64: { dtype: "int64", bits: 64 },
  I32: { dtype: "int32", bits: 32 },
  I16: { dtype: "int16", bits: 16 },
  I8: { dtype: "int8", bits: 8 },
  U64: { dtype: "uint64", bits: 64 },
  U32: { dtype: "uint32", bits: 32 },
  U16: { dtype: "uint16", bits: 16 },
  U8: { dtype: "uint8", bits: 8 },
  BOOL: { dtype: "bool", bits: 8 },
  F8_E4M3: { dtype: "float8_e4m3fn", bits: 8 },
  F8_E5M2: { dtype: "float8_e5m2", bits: 8 },
  F8_E8M0: { dtype: "float8_e8m0fnu", bits: 8 },
  F8_E4M3FNUZ: { dtype: "float8_e4m3fnuz", bits: 8 },
  F8_E5M2FNUZ: { dtype: "float8_e5m2fnuz", bits: 8 },
  F6_E2M3: { dtype: "float6_e2m3", bits: 6 },
  F6_E3M2: { dtype: "float6_e3m2", bits: 6 },
  F4: { dtype: "float4_e2m1", bits: 4 },
  C64: { dtype: "complex64", bits: 64 },
} as const;

export type StoredDtype = (typeof dtypes)[keyof typeof dtypes]["dtype"];
/** Bits of a number of each dtype. */
export const bitsOf: ReadonlyMap<StoredDtype, number> = new Map(
  Object.values(dtypes).map(({ dtype, bits }) => [dtype, bits]),
);
/** The dtypes that weights, directions and optimizer states may have in a file. */
type FloatingDtype = Exclude<StorageDtype, "int64">;

/** One tensor's place in a file. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

const floating = ["float64", "float32", "float16", "bfloat16"] as const satisfies FloatingDtype[];
export const floatingDtypes = "float64, float32, float16 or bfloat16";
/** The dtype, if its numbers are read as weights are. */
export function floatingDtype({ dtype }: Pick<StoredTensor, "dtype">): FloatingDtype | undefined {
  return floating.find((known) => known === dtype);
}

export interface SafetensorsHeader {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own bound on its header. */
const largestHeader = 100_000_000;
const braceOpen = 0x7b;
/** Of a header, between two turns of the event loop. */
const entriesAtATime = 1024;

function malformed(path: string, expectedWhat: string, received: string): CriticalSharpnessError {
  return unusable("ERR_SAFETENSORS", expectedWhat, `"${path}"`, received);
}

/**
 * Reads and checks a safetensors header: every tensor lies inside the file, has the bytes that its shape needs, and
 * overlaps no other. No tensor data is read.
 *
 * @throws CriticalSharpnessError `ERR_SAFETENSORS` naming the file and the tensor.
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  await using file = await openForReading(path);
  const { size } = await file.stat();
  if (size < 8) throw malformed(path, "a safetensors file", `a file of ${size} bytes`);
  const first = await readExactly(file, 0, Math.min(size, foreignBytes));
  const headerLength = first.readBigUInt64LE();
  const fits = headerLength <= BigInt(largestHeader) && headerLength <= BigInt(size - 8);
  // What the first bytes of another format say may be a length as well: only a file that is no safetensors is asked.
  const foreign = fits && first[8] === braceOpen ? undefined : foreignFile(first);
  if (foreign !== undefined) throw malformed(path, "a safetensors file", foreign);
  if (!fits)
    throw malformed(
      path,
      `a header of at most ${Math.min(size - 8, largestHeader)} bytes`,
      `a header length of ${headerLength}, which is no safetensors or one cut short`,
    );
  const bytes = await readExactly(file, 8, Number(headerLength));
  const entries = parseHeader(path, bytes);
  const start = 8 + Number(headerLength);
  const tensors = new Map<string, StoredTensor>();
  const spans: StoredTensor[] = [];
  for (const [i, [name, entry]] of entries.tensors.entries()) {
    if (i % entriesAtATime === entriesAtATime - 1) await turn();
    const tensor = checkEntry(path, name, entry, start, size);
    spans.push(tensor);
    tensors.set(name, tensor);
  }
  checkSpans(path, spans, start, size);
  return { path, tensors, metadata: entries.metadata };
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    const file = await openFile(path, "r");
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (error) {
    throw new CriticalSharpnessError(
      "ERR_FILE",
      `Expected a readable file for "${path}" but received: ${(error as Error).message}`,
      { cause: error },
    );
  }
  throw new CriticalSharpnessError(
    "ERR_FILE",
    `Expected a regular file for "${path}" but received a directory or device`,
  );
}

/** `length` bytes from `position`; shorter only at the end of the file. */
export async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

/** Bytes that are read between two looks at a signal. */
const readBytes = 16 << 20;

/** A stored tensor's bytes, in memory of their own (so that typed arrays over them are aligned). @throws AbortError */
export async function readStoredTensor(
  path: string,
  tensor: StoredTensor,
  signal?: AbortSignal | undefined,
): Promise<ArrayBuffer> {
  await using file = await openForReading(path);
  const buffer = new ArrayBuffer(tensor.byteLength);
  for (let done = 0; done < tensor.byteLength; ) {
    throwIfAborted(signal);
    const length = Math.min(readBytes, tensor.byteLength - done);
    const { bytesRead } = await file.read(new Uint8Array(buffer), done, length, tensor.byteOffset + done);
    if (bytesRead === 0)
      throw malformed(path, `${tensor.byteLength} bytes of tensor "${tensor.name}"`, `${done}`);
    done += bytesRead;
  }
  return buffer;
}

function parseHeader(path: string, bytes: Buffer) {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw malformed(path, "a header in JSON", (error as Error).message);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw malformed(path, "a header that is a JSON object", "another kind of value");
  const { __metadata__ } = parsed as Record<string, unknown>;
  if (__metadata__ !== undefined && (typeof __metadata__ !== "object" || Array.isArray(__metadata__)))
    throw malformed(path, "an object for __metadata__", JSON.stringify(__metadata__));
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(__metadata__ ?? {})) {
    if (typeof value !== "string") throw malformed(path, `a string for metadata "${key}"`, typeof value);
    metadata[key] = value;
  }
  const tensors = Object.entries(parsed).filter(([name]) => name !== "__metadata__");
  return { tensors, metadata };
}

function checkEntry(path: string, name: string, entry: unknown, start: number, size: number): StoredTensor {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const what = (part: string) => `${part} of tensor "${name}"`;
  if (typeof dtype !== "string" || !Object.hasOwn(dtypes, dtype))
    throw malformed(path, what("a known dtype"), String(dtype));
  const known = dtypes[dtype as keyof typeof dtypes];
  const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw malformed(path, what("a shape"), JSON.stringify(shape) ?? "none");
  const elements = (shape as number[]).reduce((product, n) => product * n, 1);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1])
    throw malformed(path, what("two data offsets in order"), JSON.stringify(offsets) ?? "none");
  const [begin, end] = offsets as [number, number];
  const bytes = (elements * known.bits) / 8;
  if (end - begin !== bytes)
    throw malformed(path, what(`${bytes} bytes`), `data offsets of ${end - begin} bytes`);
  if (start + end > size)
    throw malformed(
      path,
      what(`data within the file's ${size} bytes`),
      `data up to byte ${start + end}: the file is truncated`,
    );
  return {
    name,
    dtype: known.dtype,
    shape: shape as number[],
    byteOffset: start + begin,
    byteLength: end - begin,
  };
}

function checkSpans(path: string, spans: StoredTensor[], start: number, size: number): void {
  let position = start;
  const ordered = spans.filter((t) => t.byteLength > 0).sort((a, b) => a.byteOffset - b.byteOffset);
  for (const tensor of ordered) {
    if (tensor.byteOffset < position)
      throw malformed(
        path,
        `data of its own for tensor "${tensor.name}"`,
        "data that overlap another tensor's",
      );
    if (tensor.byteOffset > position)
      throw malformed(
        path,
        `no gap before tensor "${tensor.name}"`,
        `${tensor.byteOffset - position} bytes that belong to no tensor`,
      );
    position = tensor.byteOffset + tensor.byteLength;
  }
  if (position !== size)
    throw malformed(
      path,
      "data up to the end of the file",
      `${size - position} bytes that belong to no tensor`,
    );
}
