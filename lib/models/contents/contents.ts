import { createHash } from "node:crypto";
import {
  badTorchFile,
  isStoredArray,
  Named,
  NumpyArray,
  Opaque,
  type StoredArray,
  storedBytes,
  type TorchValue,
} from "../../files/index.js";

/** A value as JSON has it; `notRead` is what is none of data, by its name in Python. */
export type PlainValue =
  | null
  | boolean
  | number
  | string
  | readonly PlainValue[]
  | Readonly<Record<string, never>>
  | { readonly notRead: string }
  | { readonly bytes: number }
  | { readonly numpy: string; readonly shape: readonly number[] };

export interface ListedTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
  /** Of its bytes: little-endian, in C order. */
  sha256?: string;
}

/** What a file or folder holds. */
export interface Contents {
  path: string;
  /** What it is, in words. */
  kind: string;
  /** What it says of itself. */
  facts: Record<string, unknown>;
  tensors: ListedTensor[];
  values: { name: string; value: PlainValue }[];
  /** Of a folder. */
  parts: Contents[];
  /** Files that are there and are not opened, with the reason. */
  notOpened: { file: string; reason: string }[];
  /** Why what is in it cannot be said. */
  refused?: string;
}

export interface ListOptions {
  /** Whether tensors are read, for their digests. */
  sha256?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Called with each tensor's name after it was looked at. */
  onTensor?: ((name: string) => void) | undefined;
}

export const emptyContents = (path: string, kind: string, facts: Record<string, unknown> = {}): Contents => ({
  path,
  kind,
  facts,
  tensors: [],
  values: [],
  parts: [],
  notOpened: [],
});

/** Of all names together. */
const longestNames = 2 ** 27;

/** Adds tensors and values to contents, by names whose parts dots join. @throws CriticalSharpnessError, AbortError */
export async function list(
  contents: Contents,
  entries: Iterable<readonly [name: string, value: TorchValue]>,
  options: ListOptions,
): Promise<Contents> {
  let length = 0;
  for (const [name, value] of leaves(entries)) {
    length += name.length;
    if (length > longestNames)
      throw badTorchFile(contents.path, `names of at most ${longestNames} letters`, "longer ones");
    if (!isStoredArray(value)) contents.values.push({ name, value: plain(value) });
    else contents.tensors.push(await listed(name, value, options));
  }
  return contents;
}

async function listed(name: string, array: StoredArray, options: ListOptions): Promise<ListedTensor> {
  const { dtype, shape } = array;
  if (!options.sha256) return { name, dtype, shape };
  const hash = createHash("sha256");
  for await (const bytes of storedBytes(array, options.signal)) hash.update(bytes);
  options.onTensor?.(name);
  return { name, dtype, shape, sha256: hash.digest("hex") };
}

/** Tensors and values; a list of plain values is one. Readers give nothing that is deep. */
function* leaves(
  entries: Iterable<readonly [string, TorchValue]>,
  prefix = "",
): Generator<[string, TorchValue]> {
  for (const [key, value] of entries) {
    const name = prefix + key;
    const inner = value instanceof Map ? value.size > 0 : Array.isArray(value) && !value.every(isPlain);
    if (!inner) yield [name, value];
    else if (value instanceof Map) yield* leaves(named(value), dotted(name));
    else yield* leaves(named((value as readonly TorchValue[]).entries()), dotted(name));
  }
}

const dotted = (name: string) => (name === "" ? "" : `${name}.`);
const isPlain = (value: TorchValue) =>
  !(Array.isArray(value) || value instanceof Map || isStoredArray(value));

function* named(entries: Iterable<readonly [TorchValue, TorchValue]>): Generator<[string, TorchValue]> {
  for (const [key, value] of entries) {
    const name = plain(key);
    yield [typeof name === "string" ? name : JSON.stringify(name), value];
  }
}

function plain(value: TorchValue): PlainValue {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Uint8Array) return { bytes: value.length };
  if (value instanceof Named) return value.name;
  if (value instanceof NumpyArray) return { numpy: value.dtype, shape: value.shape };
  if (value instanceof Opaque) return { notRead: value.opaque };
  if (Array.isArray(value)) return value.map(plain);
  return value instanceof Map && value.size === 0 ? {} : { notRead: "a tensor or dictionary as a key" };
}
