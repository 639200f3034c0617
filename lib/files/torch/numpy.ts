import type { PickleReader } from "./reader.js";
import { NumpyArray, Opaque } from "./values.js";

/** `numpy.dtype`: "i8", and ">" once it is built if it is big-endian. */
export class NumpyDtype extends Opaque {
  order = "<";
  constructor(readonly code: string) {
    super("numpy.dtype");
  }
}

type Read = (bytes: Buffer) => number | bigint | boolean;
const whole = (value: bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
const scalars: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["b1", (bytes) => bytes[0] !== 0],
  ["i1", (bytes) => bytes.readInt8()],
  ["u1", (bytes) => bytes.readUInt8()],
  ["i2", (bytes) => bytes.readInt16LE()],
  ["u2", (bytes) => bytes.readUInt16LE()],
  ["i4", (bytes) => bytes.readInt32LE()],
  ["u4", (bytes) => bytes.readUInt32LE()],
  ["i8", (bytes) => whole(bytes.readBigInt64LE())],
  ["u8", (bytes) => whole(bytes.readBigUInt64LE())],
  ["f4", (bytes) => bytes.readFloatLE()],
  ["f8", (bytes) => bytes.readDoubleLE()],
]);

export function numpyDtype(args: readonly unknown[], reader: PickleReader): NumpyDtype {
  if (typeof args[0] !== "string") throw reader.fail("a dtype of NumPy's without a name");
  return new NumpyDtype(args[0]);
}

/** A number; undefined: of a kind that is not read. */
export function numpyScalar(
  [dtype, bytes]: readonly unknown[],
  reader: PickleReader,
): number | bigint | boolean | undefined {
  if (!(dtype instanceof NumpyDtype)) throw reader.fail("a scalar of NumPy's without a dtype");
  const read = scalars.get(dtype.code);
  // An object of Python's has no bytes.
  if (!read || dtype.order === ">") return undefined;
  if (!(bytes instanceof Uint8Array) || bytes.length !== Number(dtype.code.slice(1)))
    throw reader.fail(`bytes that are no ${dtype.code} of NumPy's`);
  return read(bytes as Buffer);
}

/** `numpy._core.numeric._frombuffer`, of protocol 5. */
export function numpyFromBuffer(
  [bytes, dtype, shape, order]: readonly unknown[],
  reader: PickleReader,
): NumpyArray {
  const array = new NumpyArray();
  buildNumpy(array, [1, shape, dtype, order === "F", bytes], reader);
  return array;
}

/** What BUILD gives a dtype and an array. */
export function buildNumpy(target: NumpyDtype | NumpyArray, state: unknown, reader: PickleReader): void {
  if (!Array.isArray(state)) throw reader.fail("a state of NumPy's that is no tuple");
  if (target instanceof NumpyDtype) {
    if (typeof state[1] !== "string") throw reader.fail("a dtype of NumPy's without an order");
    target.order = state[1];
    return;
  }
  const [, shape, dtype, isFortran, bytes] = state;
  const isShape = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isShape || !(dtype instanceof NumpyDtype)) throw reader.fail("an array of NumPy's without a shape");
  target.dtype = dtype.order + dtype.code;
  target.shape = [...(shape as number[])];
  target.isFortran = isFortran === true;
  const width = Number(/^[a-zA-Z](\d+)$/.exec(dtype.code)?.[1]) * (dtype.code.startsWith("U") ? 4 : 1);
  // An array of Python's objects has a list in their place, which is not read; nor are records, of which the width is not here.
  if (!(bytes instanceof Uint8Array) || Number.isNaN(width) || dtype.code.startsWith("V")) return;
  const length = (shape as number[]).reduce((product, size) => product * size, width);
  if (length !== bytes.length) throw reader.fail(`${bytes.length} bytes of an array of NumPy's of ${length}`);
  target.bytes = bytes;
}
