import { statSync } from "node:fs";
import { open, truncate } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import {
  concatenated,
  openTokenFile,
  splitStream,
  TokenBatches,
  tokensInMemory,
} from "../../lib/data/index.js";
import { checkVocabulary } from "../../lib/data/token-file.js";
import { failure, npy, put, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();

const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const three = [7, 65535, 256];
const two = bytesOf(new Uint16Array(three));
const four = bytesOf(new Uint32Array([7, 100_000, 256]));

async function tokensOf(file: string, options = {}) {
  await using stream = await openTokenFile(file, options);
  return Array.from(await stream.read(0, stream.length));
}

describe("token files", () => {
  it("reads uint16 without a header from .bin", async () => {
    expect(await tokensOf(put(folder, "a.bin", two))).toEqual(three);
  });
  it("reads uint32 without a header where the options say so", async () => {
    expect(await tokensOf(put(folder, "b.bin", four), { dtype: "uint32" })).toEqual([7, 100_000, 256]);
    expect(await tokensOf(put(folder, "b.npy", four), { dtype: "uint32" })).toEqual([7, 100_000, 256]);
  });
  it.each([
    ["uint16", npy("'<u2'", "(3,)", two), three],
    ["uint32", npy("'<u4'", "(3,)", four), [7, 100_000, 256]],
    ["uint8", npy("'|u1'", "(3,)", Uint8Array.of(1, 2, 3)), [1, 2, 3]],
    ["version 2", npy("'<u2'", "(3,)", two, { major: 2 }), three],
    ["version 3", npy("'<u2'", "(3,)", two, { major: 3 }), three],
    ["two axes", npy("'<u2'", "(3, 1)", two), three],
    ["one axis in Fortran order", npy("'<u2'", "(3,)", two, { order: "True" }), three],
    ["a scalar", npy("'<u2'", "()", two.subarray(0, 2)), [7]],
    ["no comma", npy("'<u2'", "(3)", two), three],
    ["big-endian", npy("'>u2'", "(3,)", Buffer.from(two).swap16()), three],
    ["int8", npy("'|i1'", "(3,)", Uint8Array.of(1, 2, 127)), [1, 2, 127]],
    ["int16", npy("'<i2'", "(2,)", bytesOf(Int16Array.of(3, 32767))), [3, 32767]],
    ["int32", npy("'<i4'", "(2,)", bytesOf(Int32Array.of(3, 100_000))), [3, 100_000]],
    ["int64", npy("'<i8'", "(2,)", bytesOf(BigInt64Array.of(3n, 100_000n))), [3, 100_000]],
    ["uint64", npy("'<u8'", "(2,)", bytesOf(BigUint64Array.of(3n, 4294967295n))), [3, 4294967295]],
    ["big-endian int64", npy("'>i8'", "(1,)", Buffer.from([0, 0, 0, 0, 0, 1, 0, 2])), [65538]],
  ])("reads .npy: %s", async (name, bytes, known) => {
    expect(await tokensOf(put(folder, `${name}.npy`, bytes))).toEqual(known);
  });
  it("reads from the middle", async () => {
    await using stream = await openTokenFile(put(folder, "m.npy", npy("'<u2'", "(3,)", two)));
    expect(Array.from(await stream.read(1, 2))).toEqual([65535, 256]);
  });

  it("reads what is larger than memory where it is asked for", async () => {
    const count = 6e9;
    const file = put(folder, "large.npy", npy("'<u4'", `(${count},)`, new Uint8Array()));
    const start = statSync(file).size;
    // No block of it is on the disk but the last.
    await truncate(file, start + 4 * count);
    const handle = await open(file, "r+");
    await handle.write(four, 0, 12, start + 4 * (count - 3));
    await handle.close();
    await using stream = await openTokenFile(file);
    expect(stream.length).toBe(count);
    expect(Array.from(await stream.read(count - 4, 4))).toEqual([0, 7, 100_000, 256]);
    const batches = new TokenBatches(stream, {
      size: 1,
      sequence: 3,
      seed: 1,
      validationFraction: 4.5 / count,
    });
    expect(Array.from((await batches.validation(0)).labels)).toEqual([7, 100_000, 256]);
  });

  it.each([
    ["float32", npy("'<f4'", "(3,)", new Uint8Array(12)), "<f4: save it anew, `np.save"],
    ["text", npy("'<U1'", "(3,)", new Uint8Array(12)), "integers of 8 to 64 bits"],
    ["negative", npy("'<i8'", "(2,)", bytesOf(BigInt64Array.of(3n, -100n))), "-100 at 1"],
    ["too large", npy("'<i8'", "(1,)", bytesOf(BigInt64Array.of(2n ** 32n))), "4294967296 at 0"],
    ["structured", npy("[('a', '<u2')]", "(3,)", two), "integers of 8 to 64 bits"],
    ["Fortran order", npy("'<u2'", "(3, 2)", new Uint8Array(12), { order: "True" }), "row by row"],
    ["truncated data", npy("'<u2'", "(4,)", two), "truncated"],
    ["truncated header", npy("'<u2'", "(3,)", two).subarray(0, 40), "whole .npy header"],
    ["nothing but the magic", Buffer.from("\x93NUMPY", "latin1"), "version"],
    ["version 9", npy("'<u2'", "(3,)", two, { major: 9 }), "version 9"],
    ["no shape", npy("'<u2'", "None", two), "header"],
  ])("refuses .npy: %s", async (name, bytes, part) => {
    await expect(openTokenFile(put(folder, `bad ${name}.npy`, bytes))).rejects.toEqual(
      failure("ERR_DATA", part),
    );
  });
  it("refuses what is no token file", async () => {
    await expect(openTokenFile(`${folder}/none.bin`)).rejects.toEqual(failure("ERR_FILE", "none.bin"));
    await expect(openTokenFile(folder)).rejects.toEqual(failure("ERR_DATA", folder));
    const odd = put(folder, "odd.bin", Uint8Array.of(1, 2, 3));
    await expect(openTokenFile(odd)).rejects.toEqual(failure("ERR_DATA", "3 bytes"));
    const raw = put(folder, "raw.npy", two);
    await expect(openTokenFile(raw)).rejects.toEqual(failure("ERR_DATA", '"dtype": "uint16" or "uint32"'));
  });
});

/** A token shard as llm.c's dev/data/data_common.py writes it. */
function shard(magic: number, version: number, tokens: Uint16Array | Uint32Array, count = tokens.length) {
  const header = new Int32Array(256);
  header.set([magic, version, count]);
  return Buffer.concat([bytesOf(header), bytesOf(tokens)]);
}

describe("token shards", () => {
  it.each([
    ["of llm.c and modded-nanogpt for GPT-2", shard(20240520, 1, Uint16Array.of(50256, 7, 0)), [50256, 7, 0]],
    ["of llm.c for Llama 3", shard(20240801, 7, Uint32Array.of(128000, 7, 0)), [128000, 7, 0]],
    ["with more behind them", shard(20240520, 1, Uint16Array.of(1, 2, 3), 2), [1, 2]],
  ])("%s are read by their header", async (_, bytes, known) => {
    expect(await tokensOf(put(folder, "shard.bin", bytes))).toEqual(known);
    expect(await tokensOf(put(folder, "shard.bin", bytes), { dtype: "uint32" })).toEqual(known);
  });
  it.each([
    ["another version", shard(20240520, 2, Uint16Array.of(1)), "version 2"],
    ["a version of the other kind", shard(20240801, 1, Uint32Array.of(1)), "version 1"],
    ["questions", shard(20240522, 1, Uint16Array.of(65535, 0)), "multiple-choice questions"],
    ["fewer tokens than it says", shard(20240520, 1, Uint16Array.of(1), 9), "truncated"],
    ["a negative count", shard(20240520, 1, Uint16Array.of(1), -1), "-1"],
  ])("are refused with %s", async (_, bytes, part) => {
    await expect(openTokenFile(put(folder, "bad.bin", bytes))).rejects.toEqual(failure("ERR_DATA", part));
  });
  it("are told apart from tokens that begin with the same numbers", async () => {
    const tokens = Uint16Array.from({ length: 600 }, (_, i) => i + 1);
    new Int32Array(tokens.buffer).set([20240520, 1]);
    expect(await tokensOf(put(folder, "chance.bin", bytesOf(tokens)))).toEqual([...tokens]);
  });
});

describe("the type of tokens without a header", () => {
  const ids = (count: number, below: number) =>
    Uint32Array.from({ length: count }, (_, i) => (i * 7919) % below);
  it.each([
    ["a small vocabulary", ids(50, 30)],
    ["one that uint16 would hold", ids(500, 65_536)],
    ["a large one", ids(20_000, 128_256)],
  ])("is asked for where uint32 was written, of %s", async (_, tokens) => {
    const file = put(folder, "u32.bin", bytesOf(tokens));
    await expect(openTokenFile(file)).rejects.toEqual(failure("ERR_DATA", "--token-type uint32"));
    expect(await tokensOf(file, { dtype: "uint32" })).toEqual([...tokens]);
    expect((await tokensOf(file, { dtype: "uint16" })).length).toBe(2 * tokens.length);
  });
  it("is uint16 of tokens that are", async () => {
    for (const tokens of [
      new Uint16Array(100),
      Uint16Array.from(ids(500, 50_257)),
      Uint16Array.from(ids(99, 2)),
    ])
      expect(await tokensOf(put(folder, "u16.bin", bytesOf(tokens)))).toEqual([...tokens]);
  });
  it("does not fit a vocabulary that is larger, or smaller than a token", async () => {
    const [small, stated] = [put(folder, "v.bin", two), { dtype: "uint16" } as const];
    await using assumed = await openTokenFile(small);
    await using known = await openTokenFile(small, stated);
    await using both = concatenated([await openTokenFile(small), known]);
    expect(() => checkVocabulary(assumed.stored, 65_536)).not.toThrow();
    expect(() => checkVocabulary(known.stored, 128_256)).not.toThrow();
    for (const { stored } of [assumed, both, splitStream(both, 0.5)[1]])
      expect(() => checkVocabulary(stored, 128_256)).toThrow(failure("ERR_DATA", "cannot hold") as Error);
    expect(() => checkVocabulary(known.stored, 50_257)).toThrow(
      failure("ERR_DATA", "65535 at 1, read as uint16") as Error,
    );
  });
  it("is not guessed of what is no token file at all", async () => {
    const pointer = put(
      folder,
      "lfs.bin",
      "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    );
    await expect(openTokenFile(pointer)).rejects.toEqual(failure("ERR_DATA", "git lfs pull"));
  });
});

describe("streams one after the other", () => {
  const streams = [[1, 2], [3], [4, 5, 6]].map((t, i) => tokensInMemory(`${i}`, Uint8Array.from(t), 256));
  it("reads across their borders", async () => {
    await using all = concatenated(streams);
    expect(all.length).toBe(6);
    expect(all.vocabularySize).toBe(256);
    for (let start = 0; start < 6; start++)
      for (let count = 0; count <= 6 - start; count++)
        expect(Array.from(await all.read(start, count))).toEqual(
          [1, 2, 3, 4, 5, 6].slice(start, start + count),
        );
  });
});
