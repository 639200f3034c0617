import type { StoredDtype } from "./safetensors.js";

export type StoredNumbers =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** A stored tensor's numbers; those of 16-bit floats widened, which is exact. undefined: a dtype that is not read. */
export function storedNumbers(bytes: ArrayBuffer, dtype: StoredDtype): StoredNumbers | undefined {
  switch (dtype) {
    case "float64":
      return new Float64Array(bytes);
    case "float32":
      return new Float32Array(bytes);
    case "float16":
      return widened(bytes, (halves, out) => {
        for (let i = 0; i < halves.length; i++) out[i] = widenHalf(halves[i] as number);
      });
    case "bfloat16":
      return widened(bytes, (halves, out) => {
        const words = new Int32Array(out.buffer);
        for (let i = 0; i < halves.length; i++) words[i] = (halves[i] as number) << 16;
      });
    case "int64":
      return new BigInt64Array(bytes);
    case "uint64":
      return new BigUint64Array(bytes);
    case "int32":
      return new Int32Array(bytes);
    case "uint32":
      return new Uint32Array(bytes);
    case "int16":
      return new Int16Array(bytes);
    case "uint16":
      return new Uint16Array(bytes);
    case "int8":
      return new Int8Array(bytes);
    case "uint8":
    case "bool":
      return new Uint8Array(bytes);
    default:
      return undefined;
  }
}

/** Numbers of 16 bits as float32. */
function widened(bytes: ArrayBuffer, fill: (halves: Uint16Array, out: Float32Array) => void): Float32Array {
  const halves = new Uint16Array(bytes);
  const out = new Float32Array(halves.length);
  fill(halves, out);
  return out;
}

/** IEEE 754's binary16. */
function widenHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
