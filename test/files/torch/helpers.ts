import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import {
  isStoredArray,
  Named,
  NumpyArray,
  Opaque,
  type StoredArray,
  storedBytes,
  type TorchValue,
} from "../../../lib/files/index.js";
import { zip } from "../../models/programs/archives.js";

export const fixture = (name: string): string => path.join(import.meta.dirname, "fixtures", name);

/** A path of keys, and the tensor or value there, as make_files.py describes them. */
export type Described = [path: string[], found: { tensor?: unknown; value?: unknown }];
export const expectedFiles = JSON.parse(readFileSync(fixture("expected.json"), "utf8")) as {
  files: Record<string, Described[]>;
  checkpoints: Record<string, Record<string, Described[]>>;
};

export async function sha256(array: StoredArray): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of storedBytes(array)) hash.update(bytes);
  return hash.digest("hex");
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function plain(value: TorchValue): unknown {
  if (typeof value === "bigint") return { int: String(value) };
  if (typeof value === "number" && !Number.isFinite(value)) return { float: value > 0 ? "inf" : "-inf" };
  if (value instanceof Uint8Array) return { hex: hex(value) };
  if (value instanceof Named) return { named: value.name.replace(/^complex/, "") };
  if (value instanceof NumpyArray && value.dtype === "|O8") return { opaque: true };
  if (value instanceof NumpyArray)
    return { numpy: value.dtype, shape: [...value.shape], hex: hex(value.bytes) };
  return value instanceof Opaque ? { opaque: true } : value;
}

/** All that a value holds, in the form of make_files.py. */
export async function described(
  value: TorchValue,
  at: string[] = [],
  found: Described[] = [],
): Promise<Described[]> {
  if (isStoredArray(value))
    found.push([
      at,
      { tensor: { dtype: value.dtype, shape: [...value.shape], sha256: await sha256(value) } },
    ]);
  else if (value instanceof Map)
    for (const [key, inner] of value) await described(inner, [...at, String(key)], found);
  else if (Array.isArray(value))
    for (const [key, inner] of value.entries()) await described(inner, [...at, String(key)], found);
  else found.push([at, { value: plain(value) }]);
  return found;
}

/** An archive as torch.save writes it, of a pickle and of storages. */
export function torchArchive(
  pickle: Buffer,
  storages: Record<string, Buffer> = {},
  others: Record<string, string> = { byteorder: "little" },
): Buffer {
  return zip([
    { name: "x/data.pkl", bytes: pickle },
    ...Object.entries(others).map(([name, text]) => ({ name: `x/${name}`, bytes: Buffer.from(text) })),
    ...Object.entries(storages).map(([key, bytes]) => ({ name: `x/data/${key}`, bytes })),
    { name: "x/version", bytes: Buffer.from("3\n") },
  ]);
}

/** Pickles by hand: what a pickler would write, and what none would. */
export const p = {
  of: (...parts: Buffer[]) => Buffer.concat([Buffer.from([0x80, 2]), ...parts, Buffer.from(".")]),
  code: (text: string) => Buffer.from(text, "latin1"),
  text: (text: string) => {
    const bytes = Buffer.from(text);
    const head = Buffer.alloc(5, "X");
    head.writeUInt32LE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  },
  int: (value: number) => {
    const bytes = Buffer.alloc(10);
    bytes.set([0x8a, 8]);
    bytes.writeBigInt64LE(BigInt(value), 2);
    return bytes;
  },
  tuple: (...items: Buffer[]) => Buffer.concat([Buffer.from("("), ...items, Buffer.from("t")]),
  global: (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`),
  call: (callee: Buffer, ...args: Buffer[]) => Buffer.concat([callee, p.tuple(...args), Buffer.from("R")]),
  dict: (...entries: (readonly [Buffer, Buffer])[]) =>
    Buffer.concat([Buffer.from("}("), ...entries.flat(), Buffer.from("u")]),
  /** An object of a class of torch.distributed.checkpoint. */
  instance: (name: string, fields: Record<string, Buffer>) =>
    Buffer.concat([
      p.global(...(`torch.distributed.checkpoint.${name}`.split(/\.(?=\w+$)/) as [string, string])),
      Buffer.from(")\x81", "latin1"),
      p.dict(...Object.entries(fields).map(([key, value]) => [p.text(key), value] as const)),
      Buffer.from("b"),
    ]),
  size: (sizes: readonly number[]) => p.call(p.global("torch", "Size"), p.tuple(...sizes.map(p.int))),
  none: Buffer.from("N"),
  storage: (count: number, key = "0", type = "FloatStorage") =>
    Buffer.concat([
      p.tuple(p.text("storage"), p.global("torch", type), p.text(key), p.text("cpu"), p.int(count)),
      Buffer.from("Q"),
    ]),
  tensor: (storage: Buffer, offset: number, size: readonly number[], stride: readonly number[]) =>
    p.call(
      p.global("torch._utils", "_rebuild_tensor_v2"),
      storage,
      p.int(offset),
      p.tuple(...size.map(p.int)),
      p.tuple(...stride.map(p.int)),
      p.code("\x89"),
      p.call(p.global("collections", "OrderedDict")),
    ),
};
