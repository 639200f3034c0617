import { expected } from "../errors.js";
import { checkNumber } from "../options/index.js";
import type { TypedIntegers } from "./token-rows.js";

/** What numbers may come in. */
export type Numbers = Float32Array | Float64Array | readonly number[];

/** `count` numbers. */
export function exactly(value: unknown, subject: string, count: number): Float32Array | Float64Array {
  const given = floats(value, subject, count);
  if (given.length !== count) throw expected(`${count} numbers`, subject, given.length, "range");
  return given;
}

/** What integers may come in. */
export type Integers =
  | BigInt64Array
  | Int32Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | readonly number[];

/** A shape of `rank` positive sizes. */
export function checkShape(shape: unknown, subject: string, rank: number): number[] {
  if (!Array.isArray(shape) || shape.length !== rank)
    throw expected(`an array of ${rank} size${rank > 1 ? "s" : ""}`, subject, shape);
  return shape.map((s, i) =>
    checkNumber(s, `${subject}[${i}]`, { minimum: 1, maximum: 2 ** 40, integer: true }),
  );
}

export function isFloatArray(value: unknown): value is Float32Array | Float64Array {
  return value instanceof Float32Array || value instanceof Float64Array;
}

/** `count` integers as native code reads them: the array itself, where it is one of those, else a copy as int32. */
export function integers(value: unknown, subject: string, count: number): TypedIntegers {
  const view = ArrayBuffer.isView(value) && !(value instanceof DataView) && !isFloatArray(value);
  if (!view && !Array.isArray(value)) throw expected("an array of integers", subject, value);
  const data = value as Integers;
  if (data.length !== count)
    throw expected(`${count} integers, as the shape says,`, subject, data.length, "range");
  if (data instanceof BigInt64Array) return data;
  const taken = [Int32Array, Uint32Array, Uint16Array, Uint8Array].some((type) => data instanceof type);
  const shared = view && (data as Int32Array).buffer instanceof SharedArrayBuffer;
  return taken && !shared ? (data as TypedIntegers) : as32(data, subject);
}

/** A copy as int32. @throws RangeError, TypeError naming the element that is no integer, or too large. */
export function as32(data: Integers, subject: string): Int32Array {
  const count = data.length;
  const out = new Int32Array(count);
  if (data instanceof BigInt64Array) {
    // Two 32-bit words a number: a BigInt each would be slow.
    const words = new Int32Array(data.buffer, data.byteOffset, 2 * count);
    for (let i = 0; i < count; i++) {
      const low = words[2 * i] as number;
      if (words[2 * i + 1] !== low >> 31) throw tooLarge(data, i, subject);
      out[i] = low;
    }
    return out;
  }
  for (let i = 0; i < count; i++) {
    const n = data[i];
    // |0 leaves nothing but numbers of 32 bits as they are.
    if (typeof n !== "number" || (n | 0) !== n) throw tooLarge(data, i, subject);
    out[i] = n;
  }
  return out;
}

function tooLarge(data: Integers, i: number, subject: string) {
  const n: unknown = data[i];
  const numeric = typeof n === "number" || data instanceof BigInt64Array;
  return expected("an integer below 2³¹", `${subject}[${i}]`, n, numeric ? "range" : "type");
}

/** A copy as int64. */
export function as64(data: TypedIntegers, subject: string): BigInt64Array {
  if (data instanceof BigInt64Array) return data;
  const numbers = as32(data, subject);
  const out = new BigInt64Array(numbers.length);
  const words = new Int32Array(out.buffer);
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i] as number;
    words[2 * i] = n;
    words[2 * i + 1] = n >> 31;
  }
  return out;
}

/** Floating-point rows: a positive multiple of `rows` numbers. */
export function floats(value: unknown, subject: string, rows: number): Float32Array | Float64Array {
  const data = Array.isArray(value) ? finiteNumbers(value, subject) : value;
  if (!isFloatArray(data)) throw expected("a Float32Array or Float64Array", subject, value);
  if (data.length === 0 || data.length % rows !== 0)
    throw expected(
      `a multiple of ${rows} numbers, one row for each of the shape's,`,
      subject,
      data.length,
      "range",
    );
  return data;
}

function finiteNumbers(values: readonly unknown[], subject: string): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const x = values[i];
    if (typeof x !== "number" || !Number.isFinite(x)) checkNumber(x, `${subject}[${i}]`);
    out[i] = x as number;
  }
  return out;
}
