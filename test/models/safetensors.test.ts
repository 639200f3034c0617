import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { readSafetensorsHeader, readStoredTensor } from "../../lib/files/safetensors.js";
import { writeSafetensors } from "../../lib/files/safetensors-writer.js";
import { failure, put, temporaryFolder } from "../data/helpers.js";
import { float32, pack, raw, safetensors } from "./files.js";

const folder = temporaryFolder();
const file = path.join(folder, "a.safetensors");
const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

async function rejects(content: Buffer, ...parts: string[]) {
  writeFileSync(file, content);
  for (const part of [file, ...parts])
    await expect(readSafetensorsHeader(file)).rejects.toEqual(failure("ERR_SAFETENSORS", part));
}

describe("a header", () => {
  test("tells where each tensor lies, and what is said of the file", async () => {
    const header = {
      __metadata__: { who: "me" },
      b: f32(8, 24, [2, 2]),
      a: f32(0, 8),
      scalar: f32(24, 28, []),
    };
    put(folder, "a.safetensors", safetensors(header, Buffer.alloc(28)));
    const { tensors, metadata } = await readSafetensorsHeader(file);
    const start = readFileSync(file).length - 28;
    expect(metadata).toEqual({ who: "me" });
    expect([...tensors.keys()]).toEqual(["b", "a", "scalar"]);
    expect(tensors.get("b")).toEqual({
      name: "b",
      dtype: "float32",
      shape: [2, 2],
      byteOffset: start + 8,
      byteLength: 16,
    });
  });

  test("may name dtypes that we have no use for, and tensors without elements", async () => {
    const others = ["I32", "I16", "I8", "U8", "U16", "U32", "U64", "BOOL", "F8_E4M3", "F8_E5M2", "C64", "F4"];
    const bytes = [4, 2, 1, 1, 2, 4, 8, 1, 1, 1, 8, 0.5];
    const tensors = Object.fromEntries(
      others.map((dtype, i) => [dtype, raw(dtype, [4], new Uint8Array(4 * (bytes[i] as number)))]),
    );
    const empty = raw("F32", [0, 5], new Uint8Array(0));
    put(folder, "a.safetensors", pack({ ...tensors, empty, used: float32([1], [7]) }));
    const header = await readSafetensorsHeader(file);
    expect([...header.tensors.values()].map(({ dtype }) => dtype)).toEqual([
      ...["int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"],
      ...["float8_e4m3fn", "float8_e5m2", "complex64", "float4_e2m1", "float32", "float32"],
    ]);
    const used = await readStoredTensor(file, header.tensors.get("used") as NonNullable<unknown> as never);
    expect(new Float32Array(used)).toEqual(new Float32Array([7]));
  });

  test("names like those of an object's own members are names", async () => {
    const text = `{"__proto__":${JSON.stringify(f32(0, 4))},"constructor":${JSON.stringify(f32(4, 8))}}`;
    put(folder, "a.safetensors", safetensors(text, Buffer.alloc(8)));
    expect([...(await readSafetensorsHeader(file)).tensors.keys()]).toEqual(["__proto__", "constructor"]);
  });
});

describe("a header is rejected, with the file's name and the tensor's,", () => {
  test("that is longer than the file, than the format allows or than a number", async () => {
    for (const length of [1n, 2n ** 31n, 100_000_001n, 2n ** 53n + 1n, 2n ** 64n - 1n])
      await rejects(safetensors("", new Uint8Array(), length), `a header length of ${length}`);
    await rejects(Buffer.alloc(0));
    await rejects(Buffer.alloc(7));
  });

  test("that is no JSON object", async () => {
    for (const text of ["", "{", "nul", "[1]", "3", "null", '"x"', "{}x", '{"a":1,}', "\u0000"])
      await rejects(safetensors(text));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(4n);
    await rejects(Buffer.concat([prefix, Buffer.from([0x22, 0xff, 0xfe, 0x22])])); // not UTF-8
    await rejects(safetensors("[".repeat(100_000) + "]".repeat(100_000)));
    await rejects(safetensors({ __metadata__: { a: 1 } }), '"a"');
    for (const metadata of [1, "text", [], ["x"], true])
      await rejects(safetensors({ __metadata__: metadata }), "__metadata__");
  });

  test("whose entries are no tensors", async () => {
    const good = f32(0, 4);
    const entries: unknown[] = [null, 3, "x", [], {}, [good]];
    for (const dtype of [undefined, null, 32, "f32", "F128", "", {}, "constructor", "__proto__", "toString"])
      entries.push({ ...good, dtype });
    for (const shape of [undefined, 1, [-1], [1.5], ["1"], [null], [2 ** 60], [[1]], {}, [2], [1, 1, 2]])
      entries.push({ ...good, shape });
    for (const offsets of [
      undefined,
      4,
      [],
      [0],
      [0, 4, 4],
      [4, 0],
      [-4, 0],
      [0, "4"],
      [0.5, 4.5],
      [0, 2 ** 60],
    ])
      entries.push({ ...good, data_offsets: offsets });
    for (const entry of entries)
      await rejects(safetensors({ "the one": entry }, Buffer.alloc(4)), '"the one"');
  });

  test("whose numbers overflow", async () => {
    const huge = { dtype: "F32", shape: Array(400).fill(2 ** 52), data_offsets: [0, 4] };
    await rejects(safetensors({ huge }, Buffer.alloc(4)), '"huge"');
    await rejects(safetensors({ huge: { ...huge, shape: [...huge.shape, 0] } }, Buffer.alloc(4)), '"huge"');
    const far = { dtype: "F32", shape: [2 ** 50], data_offsets: [0, 2 ** 52] };
    await rejects(safetensors({ far }, Buffer.alloc(4)), '"far"', "truncated");
  });

  test("whose tensors overlap, or leave bytes to nobody", async () => {
    await rejects(safetensors({ a: f32(0, 8), b: f32(4, 12) }, Buffer.alloc(12)), '"b"', "overlap");
    await rejects(safetensors({ a: f32(0, 8), b: f32(0, 8) }, Buffer.alloc(8)), '"b"', "overlap");
    const other = { dtype: "I32", shape: [2], data_offsets: [4, 12] };
    await rejects(safetensors({ a: f32(0, 8), other }, Buffer.alloc(12)), '"other"', "overlap");
    await rejects(safetensors({ a: f32(0, 8), b: f32(12, 16) }, Buffer.alloc(16)), '"b"', "4 bytes");
    await rejects(safetensors({ a: f32(0, 8) }, Buffer.alloc(9)), "1 bytes");
    await rejects(safetensors({}, Buffer.alloc(1)), "1 bytes");
    await rejects(safetensors({ a: f32(0, 8) }, Buffer.alloc(7)), '"a"', "truncated");
  });
});

test("another format is called by its name, with what helps", async () => {
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
  await rejects(Buffer.from(pointer), "a pointer of Git LFS", "git lfs pull");
  await rejects(Buffer.from(`PK\x03\x04${"x".repeat(99)}`), "torch.save");
  await rejects(Buffer.concat([Buffer.from([0x80, 2]), Buffer.alloc(99, "]q")]), "torch.save");
  await rejects(Buffer.from(`GGUF${"x".repeat(99)}`), "GGUF");
  await rejects(Buffer.from(`<!DOCTYPE html><html>${"x".repeat(99)}`), "a web page");
  await rejects(Buffer.from(`\x93NUMPY\x01${"x".repeat(99)}`, "latin1"), "a NumPy array");
  // A header of 640 bytes starts as a pickle does.
  const sound = safetensors(JSON.stringify({ a: f32(0, 4) }).padEnd(0x0280), Buffer.alloc(4));
  expect(sound.subarray(0, 2)).toEqual(Buffer.from([0x80, 2]));
  writeFileSync(file, sound);
  expect([...(await readSafetensorsHeader(file)).tensors.keys()]).toEqual(["a"]);
});

test("what cannot be read is ERR_FILE", async () => {
  for (const name of [folder, path.join(folder, "none"), path.join(file, "below"), "/dev/null"])
    await expect(readSafetensorsHeader(name)).rejects.toEqual(failure("ERR_FILE", name));
});

test("a file that cannot be written is ERR_FILE, and leaves nothing behind", async () => {
  const source = {
    name: "a",
    dtype: "float32" as const,
    shape: [1],
    read: () => Promise.resolve(new ArrayBuffer(4)),
  };
  for (const name of [path.join(folder, "none", "x"), path.join(file, "below"), folder])
    await expect(writeSafetensors(name, [source])).rejects.toEqual(failure("ERR_FILE", name));
  const failing = { ...source, read: () => Promise.reject(new Error("mine")) };
  const target = path.join(folder, "half.safetensors");
  await expect(writeSafetensors(target, [failing])).rejects.toThrow("mine");
  for (const name of [target, folder]) expect(() => readFileSync(`${name}.${process.pid}.tmp`)).toThrow();
  expect(() => readFileSync(target)).toThrow();
});
