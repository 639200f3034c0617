import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Opaque, readTorchFile, type StoredArray, storedBytes } from "../../../lib/files/index.js";
import { whyNotCovered } from "../../../lib/files/torch/cover.js";
import { fixture as program } from "../../models/programs/archives.js";
import { fixture, p, torchArchive } from "./helpers.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "torch-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

const put = (bytes: Buffer): string => {
  const file = path.join(folder, "x.pt");
  writeFileSync(file, bytes);
  return file;
};
const read = (pickle: Buffer, storages: Record<string, Buffer> = { 0: Buffer.alloc(16) }) =>
  readTorchFile(put(torchArchive(pickle, storages)));
const refusal = { code: "ERR_TORCH_FILE", message: expect.stringMatching(/^Expected .+ but received .+/s) };

describe("other files are named, with what helps", () => {
  it.each([
    [
      "legacy.pt",
      () => fixture("legacy.pt"),
      /earlier PyTorch.*torch\.save\(torch\.load\(.*weights_only=True\), "new\.pt"\)/,
    ],
    ["a script", () => fixture("script.pt"), /TorchScript archive/],
    ["a program", () => program("mlp"), /program of torch\.export\.save/],
    [
      "a tar",
      () => put(Buffer.concat([Buffer.alloc(257), Buffer.from("ustar\0"), Buffer.alloc(500)])),
      /earlier PyTorch/,
    ],
    [
      "a Git LFS pointer",
      () => put(Buffer.from("version https://git-lfs.github.com/spec/v1\noid")),
      /git lfs pull/,
    ],
    ["nothing", () => put(Buffer.alloc(0)), /another kind of file/],
    [
      "two folders",
      () =>
        put(
          Buffer.from(
            readFileSync(fixture("bare.pt")).toString("latin1").replaceAll("bare/version", "cold/version"),
            "latin1",
          ),
        ),
      /beside the folder/,
    ],
    [
      "big-endian numbers",
      () => put(torchArchive(p.of(p.code("N")), {}, { byteorder: "big" })),
      /little-endian/,
    ],
    [
      "an archive cut short",
      () => {
        const file = put(readFileSync(fixture("adamw.pt")));
        truncateSync(file, 3000);
        return file;
      },
      /cut short/,
    ],
  ] as const)("%s", async (_, file, message) => {
    await expect(readTorchFile(file())).rejects.toMatchObject({
      ...refusal,
      message: expect.stringMatching(message),
    });
  });
  it("no byteorder, as before PyTorch 2.1, is little-endian", async () => {
    expect(await readTorchFile(put(torchArchive(p.of(p.int(3)), {}, {})))).toBe(3);
  });
  it("folders and missing files", async () => {
    await expect(readTorchFile(folder)).rejects.toMatchObject({ code: "ERR_FILE" });
    await expect(readTorchFile(path.join(folder, "none.pt"))).rejects.toMatchObject({ code: "ERR_FILE" });
  });
});

describe("tensors that lie about their place are refused", () => {
  const huge = 2 ** 52;
  it.each([
    ["a storage beyond its record", p.storage(5), 0, [4], [1]],
    ["a storage of any size", p.storage(huge), 0, [4], [1]],
    ["a record that is not there", p.storage(4, "7"), 0, [4], [1]],
    ["a record outside of data", p.storage(1, "../version"), 0, [1], [1]],
    ["sizes beyond the storage", p.storage(4), 0, [5], [1]],
    ["an offset beyond it", p.storage(4), 1, [4], [1]],
    ["strides beyond it", p.storage(4), 0, [2, 2], [3, 1]],
    ["a negative stride", p.storage(4), 3, [4], [-1]],
    ["a negative offset", p.storage(4), -1, [4], [1]],
    ["a negative size", p.storage(4), 0, [-1], [1]],
    ["a negative count", p.storage(-1), 0, [0], [1]],
    ["a product that overflows", p.storage(4), 0, [2 ** 32, 2 ** 32], [1, 1]],
    ["a product that overflows beside a 0", p.storage(4), 9, [0, huge, huge], [1, 1, 1]],
    ["strides that overflow", p.storage(4), 0, [2 ** 30, 1], [2 ** 50, 1]],
    ["fewer strides than sizes", p.storage(4), 0, [2, 2], [1]],
    ["no storage", p.int(3), 0, [1], [1]],
    ["a storage of no known type", p.storage(4, "0", "OddStorage"), 0, [1], [1]],
  ] as const)("%s", async (_, storage, offset, size, stride) => {
    await expect(read(p.of(p.tensor(storage, offset, size, stride)))).rejects.toMatchObject(refusal);
  });
  it("one of endlessly repeated numbers has no value", async () => {
    const value = await read(p.of(p.tensor(p.storage(1), 0, [2 ** 40], [0])));
    expect(value).toBeInstanceOf(Opaque);
  });
  it("one that fits is read", async () => {
    const value = await read(p.of(p.tensor(p.storage(4), 1, [3], [1])), {
      0: Buffer.from(Float32Array.of(1, 2, 3, 4).buffer),
    });
    for await (const bytes of storedBytes(value as StoredArray))
      expect([...new Float32Array(new Uint8Array(bytes).buffer)]).toEqual([2, 3, 4]);
  });
});

describe("pickles that would do harm", () => {
  const mark = path.join(folder, "a-pickle-was-executed");
  it.each([
    ["posix", "system"],
    ["os", "system"],
    ["subprocess", "Popen"],
    ["builtins", "eval"],
    ["__builtin__", "exec"],
  ])("%s.%s is refused by name", async (module, name) => {
    const call = p.call(p.global(module, name), p.text(`touch ${mark}`));
    await expect(read(p.of(call))).rejects.toMatchObject({
      ...refusal,
      message: expect.stringContaining("mean harm"),
    });
    expect(existsSync(mark)).toBe(false);
  });
  it("anything else is called by nobody", async () => {
    for (const [module, name] of [
      ["torch.hub", "load"],
      ["__main__", "run"],
      ["constructor", "constructor"],
      ["", ""],
    ] as const)
      expect(await read(p.of(p.call(p.global(module, name), p.text("x"))))).toEqual(
        new Opaque(`${module}.${name}`),
      );
  });
});

describe("pickles without end", () => {
  const memo = (index: number) => String.fromCharCode(index);
  const doubling = (levels: number) => {
    const double = (k: number) => `0h${memo(k)}h${memo(k)}\x86q${memo(k + 1)}`;
    return p.of(p.code("]q\0"), ...Array.from({ length: levels }, (_, k) => p.code(double(k))));
  };
  const cases: [string, () => Buffer, RegExp][] = [
    ["a million tuples in one another", () => p.of(p.code(")"), Buffer.alloc(1e6, 0x85)), /deeper/],
    [
      "a million lists in one another",
      () => p.of(Buffer.alloc(1e6, "]"), Buffer.alloc(999_999, "a")),
      /deeper/,
    ],
    ["x = (x, x), sixty times", () => doubling(60), /repeated without end/],
    ["a list of itself", () => p.of(p.code("]q\0h\0a")), /circles/],
    ["a dictionary of itself", () => p.of(p.code("}q\0"), p.int(1), p.code("h\0s")), /circles/],
    ["a key that holds itself", () => p.of(p.code("}q\0h\0\x85Ns")), /circles/],
    ["marks alone", () => p.of(Buffer.alloc(1e6, "(")), /empty stack|left over/],
    [
      "ten million dictionaries",
      () => p.of(p.code("("), Buffer.alloc(1e7, "}"), p.code("t")),
      /pickle of more/,
    ],
    ["a string of 4 GB", () => p.of(p.code("X\xff\xff\xff\xff")), /string of/],
    ["bytes of 2^63", () => p.of(p.code("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f")), /string of/],
    ["an integer of 2 GB", () => p.of(p.code("\x8b\xff\xff\xff\x7f")), /integer of/],
    [
      "a copy of a list, again and again",
      () =>
        p.of(
          p.code("](".concat("K\x01".repeat(100_000), "eq\0")),
          p.global("builtins", "list"),
          p.code("q\x01"),
          p.code(`h\x01h\0\x85R0`.repeat(10_000)),
          p.code("N"),
        ),
      /pickle of more/,
    ],
    [
      "an encoding that is deep",
      () =>
        p.of(
          p.global("_codecs", "encode"),
          p.text("x"),
          p.code(")"),
          Buffer.alloc(1e5, 0x85),
          p.code("\x86R"),
        ),
      /stands for no bytes/,
    ],
    ["a value that is not there", () => p.of(p.code("h\x09")), /nothing at 9/],
    ["protocol 0", () => Buffer.from("I1\n."), /protocol 2 to 5/],
    ["protocol 6", () => Buffer.from("\x80\x06N.", "latin1"), /protocol 6/],
    ["nothing", () => Buffer.alloc(0), /other bytes/],
    ["no end", () => Buffer.from("\x80\x02N", "latin1"), /an end within/],
    ["an unknown opcode", () => p.of(p.code("\xff")), /opcode 0xff/],
    ["text that is no UTF-8", () => p.of(p.code("X\x01\0\0\0\xff")), /no UTF-8/],
    ["a call of a number", () => p.of(p.int(1), p.code(")R")), /no function/],
  ];
  it.each(cases)("%s", async (_, pickle, message) => {
    await expect(read(pickle())).rejects.toMatchObject({
      ...refusal,
      message: expect.stringMatching(message),
    });
  });
  it("are not those that share values a few times", async () => {
    const shared = await read(p.of(p.code("(]q\0h\0h\0t")));
    expect(shared).toEqual([[], [], []]);
    expect(await read(doubling(12))).toHaveLength(2);
  });
});

describe("parts of a tensor", () => {
  const box = (start: number[], shape: number[]) => ({ start, shape });
  it.each([
    ["one", [4, 3], [box([0, 0], [4, 3])]],
    ["rows", [4, 3], [box([0, 0], [1, 3]), box([1, 0], [3, 3])]],
    ["rows, of which one part has none", [1, 3], [box([0, 0], [1, 3]), box([1, 0], [0, 3])]],
    [
      "a pinwheel",
      [3, 3],
      [
        box([0, 0], [1, 2]),
        box([0, 2], [2, 1]),
        box([2, 1], [1, 2]),
        box([1, 0], [2, 1]),
        box([1, 1], [1, 1]),
      ],
    ],
    ["a number", [], [box([], [])]],
    ["nothing", [0, 3], [box([0, 0], [0, 3])]],
    ["nothing, without parts", [0], []],
    [
      "very many numbers",
      [2 ** 40, 2 ** 12],
      [box([0, 0], [2 ** 39, 2 ** 12]), box([2 ** 39, 0], [2 ** 39, 2 ** 12])],
    ],
  ])("cover it: %s", (_, shape, boxes) => expect(whyNotCovered(shape, boxes)).toBeUndefined());
  it.each([
    ["none", [4], []],
    ["a gap", [4], [box([0], [1]), box([2], [2])]],
    ["an overlap", [4], [box([0], [3]), box([2], [2])]],
    ["a gap and an overlap of the same size", [4], [box([0], [2]), box([1], [2])]],
    ["twice the same", [4], [box([0], [4]), box([0], [4])]],
    ["a number twice", [], [box([], []), box([], [])]],
    ["diagonal corners", [2, 2], [box([0, 0], [1, 1]), box([1, 1], [1, 1])]],
    ["beyond it", [4], [box([0], [5])]],
    ["another rank", [4], [box([0, 0], [4, 1])]],
  ])("do not: %s", (_, shape, boxes) => expect(whyNotCovered(shape, boxes)).toBeTypeOf("string"));
});
