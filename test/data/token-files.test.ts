import { statSync } from "node:fs";
import { open, truncate } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { concatenated, openTokenFile, TokenBatches, tokensInMemory } from "../../lib/data/index.js";
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
    ["big-endian", npy("'>u2'", "(3,)", two), "uint8, uint16 or uint32"],
    ["signed", npy("'<i8'", "(1,)", new Uint8Array(8)), "<i8"],
    ["structured", npy("[('a', '<u2')]", "(3,)", two), "uint8, uint16 or uint32"],
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
