import { checkNumber } from "../checks.js";
import { expected } from "../errors.js";

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

/** `count` integers as int64. */
export function integers(value: unknown, subject: string, count: number): BigInt64Array {
  const view = ArrayBuffer.isView(value) && !(value instanceof DataView) && !isFloatArray(value);
  if (!view && !Array.isArray(value)) throw expected("an array of integers", subject, value);
  const data = value as Integers;
  if (data.length !== count)
    throw expected(`${count} integers, as the shape says,`, subject, data.length, "range");
  if (data instanceof BigInt64Array) return data;
  // Two 32-bit words a number: a BigInt each would be slow.
  const out = new BigInt64Array(count);
  const words = new Int32Array(out.buffer);
  for (let i = 0; i < count; i++) {
    const n = data[i];
    if (typeof n !== "number" || !Number.isInteger(n) || n < -(2 ** 31) || n >= 2 ** 31)
      throw expected("an integer below 2³¹", `${subject}[${i}]`, n, typeof n === "number" ? "range" : "type");
    words[2 * i] = n;
    words[2 * i + 1] = n < 0 ? -1 : 0;
  }
  return out;
}

/** Floating-point rows: a positive multiple of `rows` numbers. */
export function floats(value: unknown, subject: string, rows: number): Float32Array | Float64Array {
  const data = Array.isArray(value)
    ? Float64Array.from(value, (x, i) => checkNumber(x, `${subject}[${i}]`))
    : value;
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
