import fc from "fast-check";
import { safetensors } from "./files.js";

/** Numbers, texts and structures that parsers trip over. */
export const odd = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    -1,
    1.5,
    1e308,
    2 ** 31,
    2 ** 53,
    -(2 ** 63),
    "",
    "F32",
    "I64",
    "\0",
    null,
    true,
    [],
    {},
    [[]],
    [2, 2],
    [0, 16],
    [16, 0],
    [0, 2 ** 52],
    [2 ** 26, 2 ** 26],
    "__proto__",
  ),
  fc.jsonValue(),
);

/** As a key of JSON; `String` fails for objects whose JSON has a field called toString. */
const named = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

type Mutation = (file: Buffer) => Buffer;
const at = (length: number, fraction: number) => Math.min(length - 1, Math.floor(fraction * length));
const place = fc.double({ min: 0, max: 1, noNaN: true });

const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(
    ([where, byte]): Mutation =>
      (file) => {
        const copy = Buffer.from(file);
        if (copy.length > 0) copy[at(copy.length, where)] = byte;
        return copy;
      },
  ),
  place.map(
    (where): Mutation =>
      (file) =>
        file.subarray(0, Math.floor(where * file.length)),
  ),
  fc.tuple(place, fc.uint8Array({ maxLength: 16 })).map(
    ([where, bytes]): Mutation =>
      (file) => {
        const cut = Math.floor(where * file.length);
        return Buffer.concat([file.subarray(0, cut), bytes, file.subarray(cut)]);
      },
  ),
  fc.tuple(place, place).map(
    ([from, to]): Mutation =>
      (file) => {
        const [begin, end] = [from, to].map((f) => Math.floor(f * file.length)).sort((a, b) => a - b);
        return Buffer.concat([file.subarray(0, begin), file.subarray(end)]);
      },
  ),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(
    (length): Mutation =>
      (file) => {
        const copy = Buffer.from(file);
        if (copy.length >= 8) copy.writeBigUInt64LE(length);
        return copy;
      },
  ),
  // A field of one entry of a header that stays JSON.
  fc.tuple(place, fc.constantFrom("dtype", "shape", "data_offsets", "entry", "name", "extra"), odd).map(
    ([which, field, value]): Mutation =>
      (file) => {
        const parsed = headerOf(file);
        if (!parsed) return file;
        const entries = Object.entries(parsed.header);
        const [name, entry] = entries[at(entries.length, which)] ?? ["x", {}];
        const { header } = parsed;
        if (field === "entry") header[name] = value;
        else if (field === "name")
          Object.defineProperty(header, named(value), { value: entry, enumerable: true });
        else if (field === "extra") header.__metadata__ = value;
        else header[name] = { ...(entry as object), [field]: value };
        return safetensors(header, parsed.data);
      },
  ),
);

function headerOf(file: Buffer): { header: Record<string, unknown>; data: Buffer } | undefined {
  try {
    const end = 8 + Number(file.readBigUInt64LE());
    const header = JSON.parse(file.subarray(8, end).toString());
    return header && typeof header === "object" ? { header, data: file.subarray(end) } : undefined;
  } catch {
    return undefined;
  }
}

/** A sound file and a few mutations of it, one after the other. */
export const mutated = (file: Buffer) =>
  fc
    .array(mutations, { minLength: 1, maxLength: 4 })
    .map((list) => list.reduce((f, mutate) => mutate(f), file));
