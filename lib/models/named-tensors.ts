import { expected } from "../errors.js";
import { checkChoice, checkNumber, checkOptions } from "../options/index.js";
import type { NativeProgramDtype } from "../torch/index.js";

/** A tensor of any dtype, row-major. */
export interface NamedTensor {
  data:
    | Float32Array
    | Float64Array
    | BigInt64Array
    | Int32Array
    | Int16Array
    | Int8Array
    | Uint8Array
    | Uint16Array;
  /** No sizes: one number. */
  shape: readonly number[];
  /** Where the array does not tell: `bool` of a Uint8Array (1 is true); `float16` or `bfloat16`, whose bits a Uint16Array holds. */
  dtype?: "bool" | "float16" | "bfloat16";
}

const arrays = [
  [Float32Array, "float32"],
  [Float64Array, "float64"],
  [BigInt64Array, "int64"],
  [Int32Array, "int32"],
  [Int16Array, "int16"],
  [Int8Array, "int8"],
  [Uint8Array, "uint8"],
  [Uint16Array, "uint16"],
] as const;

/** The array that holds the bits of a dtype that none has for its own. */
const holders = { bool: "uint8", float16: "uint16", bfloat16: "uint16" } as const;
const names = Object.keys(holders) as (keyof typeof holders)[];

/** Named tensors as native code takes them. @throws TypeError, RangeError naming the tensor */
export function readNamedTensors(value: unknown) {
  const tensors = Object.entries(checkOptions(value, "tensors"));
  if (tensors.length === 0) throw expected("at least one tensor", "tensors", "none", "range");
  return tensors.map(([name, tensor]) => readTensor(name, tensor));
}

function readTensor(name: string, value: unknown) {
  const { data, shape, dtype: given, ...rest } = checkOptions(value, name);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw expected("data, shape and dtype", name, unknown, "range");
  const own = arrays.find(([type]) => data instanceof type)?.[1];
  if (own === undefined)
    throw expected(`a typed array (${arrays.map(([type]) => type.name).join(", ")})`, `${name}.data`, data);
  const chosen = given === undefined ? undefined : checkChoice(given, `${name}.dtype`, names);
  const holder = chosen && holders[chosen];
  if (chosen ? holder !== own : own === "uint16")
    throw expected(
      chosen ? `a ${holder === "uint8" ? "Uint8Array" : "Uint16Array"}` : 'a dtype "float16" or "bfloat16"',
      chosen ? `${name}.data` : `${name}.dtype`,
      chosen ? data : undefined,
    );
  if (!Array.isArray(shape)) throw expected("an array of sizes", `${name}.shape`, shape);
  const sizes = shape.map((size, i) =>
    checkNumber(size, `${name}.shape[${i}]`, { minimum: 1, maximum: 2 ** 40, integer: true }),
  );
  const view = data as Float32Array;
  return {
    name,
    dtype: (chosen ?? own) as NativeProgramDtype,
    shape: sizes,
    data: new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
  };
}

const ofDtype: Readonly<Record<string, (typeof arrays)[number][0] | undefined>> = {
  ...Object.fromEntries(arrays.map(([type, name]) => [name, type])),
  bool: Uint8Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  uint16: undefined,
};

/** A tensor of a safetensors file by its bytes, which are copied. Undefined for a dtype that programs have no inputs of. */
export function storedNamedTensor(
  dtype: string,
  bytes: Uint8Array,
  shape: readonly number[],
): NamedTensor | undefined {
  const type = ofDtype[dtype];
  if (type === undefined) return undefined;
  const data = new type(bytes.slice().buffer) as NamedTensor["data"];
  return dtype in holders ? { data, shape, dtype: dtype as keyof typeof holders } : { data, shape };
}
