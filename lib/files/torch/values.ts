import { type CriticalSharpnessError, unusable } from "../../errors.js";
import type { StoredArray } from "../stored-array.js";

/** What is not read, by its name in Python: nobody has called it. An error only where somebody needs its value. */
export class Opaque {
  constructor(readonly opaque: string) {}
}

/** A word of PyTorch's or Python's: a dtype ("torch.float32"), a layout, a device, a complex number. */
export class Named {
  constructor(readonly name: string) {}
}

/** An array of NumPy's, which lies in the pickle itself; of Python's objects ("|O8") and of records there are no bytes. */
export class NumpyArray {
  /** As in NumPy: "<f8". */
  dtype = "";
  shape: readonly number[] = [];
  isFortran = false;
  bytes: Uint8Array = new Uint8Array();
}

/** What a file holds: lists, tuples, sets and `torch.Size` as arrays, dictionaries as maps, ints beyond 2⁵³ as bigint. */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | StoredArray
  | Named
  | NumpyArray
  | Opaque
  | readonly TorchValue[]
  | ReadonlyMap<TorchValue, TorchValue>;

/** An object of a class that is read, by the fields that it was given. */
export class Instance extends Opaque {
  fields: ReadonlyMap<unknown, unknown> = new Map();
}

/** Whether a value is a tensor, and where it lies. */
export function isStoredArray(value: unknown): value is StoredArray {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "pieces");
}

/** The error for a file of PyTorch's that cannot be read. */
export function badTorchFile(path: string, what: string, received: string): CriticalSharpnessError {
  return unusable("ERR_TORCH_FILE", what, `"${path}"`, received);
}
