import type { StoredDtype } from "../safetensors.js";
import type { StoredArray } from "../stored-array.js";
import type { ZipMember } from "../zip.js";
import type { PickleReader } from "./reader.js";
import { badTorchFile, Opaque } from "./values.js";

/** Where the bytes of a storage lie, by its key. */
export type RecordOf = (key: string) => { readonly path: string; readonly member: ZipMember };

/** Bytes of a number, of each dtype of PyTorch's that stands in pickles. */
const widths: ReadonlyMap<string, number> = new Map([
  ["float64", 8],
  ["float32", 4],
  ["float16", 2],
  ["bfloat16", 2],
  ["int64", 8],
  ["int32", 4],
  ["int16", 2],
  ["int8", 1],
  ["uint64", 8],
  ["uint32", 4],
  ["uint16", 2],
  ["uint8", 1],
  ["bool", 1],
  ["float8_e4m3fn", 1],
  ["float8_e5m2", 1],
  ["float8_e8m0fnu", 1],
  ["float8_e4m3fnuz", 1],
  ["float8_e5m2fnuz", 1],
  ["complex64", 8],
  ["complex128", 16],
  ["complex32", 4],
  ["qint8", 1],
  ["quint8", 1],
  ["qint32", 4],
  ["quint4x2", 1],
  ["quint2x4", 1],
  ["float4_e2m1fn_x2", 1],
  ["bits8", 1],
]);
/** Of which the numbers are read nowhere. */
const unread = /^(complex(128|32)|q|float4|bits)/;

/** `torch.FloatStorage` and the like. */
const storages: ReadonlyMap<string, string> = new Map([
  ["DoubleStorage", "float64"],
  ["FloatStorage", "float32"],
  ["HalfStorage", "float16"],
  ["BFloat16Storage", "bfloat16"],
  ["LongStorage", "int64"],
  ["IntStorage", "int32"],
  ["ShortStorage", "int16"],
  ["CharStorage", "int8"],
  ["ByteStorage", "uint8"],
  ["BoolStorage", "bool"],
  ["ComplexFloatStorage", "complex64"],
  ["ComplexDoubleStorage", "complex128"],
  ["QInt8Storage", "qint8"],
  ["QUInt8Storage", "quint8"],
  ["QInt32Storage", "qint32"],
  ["QUInt4x2Storage", "quint4x2"],
  ["QUInt2x4Storage", "quint2x4"],
  ["UntypedStorage", "uint8"],
]);

export const isDtype = (name: string): boolean => widths.has(name);

class Storage extends Opaque {
  constructor(
    readonly dtype: string,
    readonly path: string,
    readonly member: ZipMember,
    readonly byteLength: number,
  ) {
    super("torch.storage");
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const greatestRank = 64;

/** What BINPERSID stands for: `("storage", type, key, location, numbers)`. Its record must hold all of its numbers. */
export function storageOf(id: unknown, reader: PickleReader, recordOf: RecordOf): Opaque {
  const [what, type, key, , count] = Array.isArray(id) ? id : [];
  const name = type instanceof Opaque ? type.opaque.replace(/^torch\.(storage\.)?/, "") : "";
  const dtype = storages.get(name);
  if (what !== "storage" || dtype === undefined || typeof key !== "string" || !isCount(count))
    throw reader.fail("a reference to what is no storage");
  const { path, member } = recordOf(key);
  const byteLength = count * (widths.get(dtype) as number);
  if (!Number.isSafeInteger(byteLength) || byteLength > member.byteLength)
    throw badTorchFile(
      path,
      `${byteLength} bytes of a storage in "${member.name}"`,
      `${member.byteLength}: the file is damaged`,
    );
  return new Storage(dtype, path, member, byteLength);
}

/**
 * `torch._utils._rebuild_tensor_v2` and its like: where a tensor's numbers lie. Opaque: of a kind that is not read.
 *
 * @param given the dtype, where it is not the storage's
 */
export function rebuildTensor(
  [storage, offset, size, stride]: readonly unknown[],
  reader: PickleReader,
  given?: string,
): StoredArray | Opaque {
  if (!(storage instanceof Storage)) throw reader.fail("a tensor without a storage");
  const { path, member } = storage;
  const name = given?.replace(/^torch\./, "") ?? storage.dtype;
  const width = widths.get(name);
  if (width === undefined) throw reader.fail("a tensor without a dtype");
  const shape = counts(size);
  const strides = counts(stride);
  if (!isCount(offset) || !shape || !strides || shape.length !== strides.length)
    throw badTorchFile(
      path,
      `sizes, strides and an offset ≥ 0 of the tensor in "${member.name}"`,
      "others: the file is damaged",
    );
  reader.spend(16 * (shape.length + 1) * 4);
  const elements = product(shape);
  let extent = elements === 0 ? 0 : 1;
  if (elements > 0) for (const [i, n] of shape.entries()) extent += (n - 1) * (strides[i] as number);
  const end = (offset + extent) * width;
  if (!(Number.isSafeInteger(elements) && Number.isSafeInteger(end) && end <= storage.byteLength))
    throw badTorchFile(
      path,
      `a tensor of shape [${shape.join(", ")}] within its storage "${member.name}"`,
      `${end} bytes of ${storage.byteLength}: the file is damaged`,
    );
  if (unread.test(name)) return new Opaque(`a tensor of torch.${name}`);
  // Of those that expand() made there may be any number.
  if (elements > extent)
    return new Opaque("a tensor of which elements share a place: clone() it before torch.save");
  return {
    dtype: name as StoredDtype,
    shape,
    pieces: [
      {
        path,
        byteOffset: member.byteOffset + offset * width,
        strides,
        start: shape.map(() => 0),
        shape,
      },
    ],
  };
}

/** Sizes or strides. */
export function counts(value: unknown): number[] | undefined {
  const isSizes = Array.isArray(value) && value.length <= greatestRank && value.every(isCount);
  return isSizes ? [...(value as number[])] : undefined;
}

/** Of sizes; not a safe integer if it is too large to be true, whatever the order of the factors. */
export function product(sizes: readonly number[]): number {
  return sizes.includes(0) ? 0 : sizes.reduce((all, size) => all * size, 1);
}
