import { readFileSync, truncateSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readProgram } from "../../../lib/models/programs/program.js";
import { edited, fixture, type Member, unzip, zip } from "./archives.js";
import { describeRefusals, folder, member, options, refusal, write } from "./refusals.js";

describeRefusals({
  "archives that are none of today's torch.export.save": [
    [
      "AOTInductor",
      { members: (all) => [...all, { name: "mlp/data/aotinductor/model/a.so", bytes: Buffer.alloc(1) }] },
      /AOTInductor/,
    ],
    [
      "another format",
      member("/archive_format", (one) => (one.bytes = Buffer.from("zip"))),
      /archive_format/,
    ],
    [
      "a mark that is long",
      member("/archive_format", (one) => (one.bytes = Buffer.alloc(65))),
      /at most 64 bytes .* one of 65/,
    ],
    ["big-endian", member("/byteorder", (one) => (one.bytes = Buffer.from("big"))), /byteorder is "big"/],
    [
      "no model.json",
      { members: (all) => all.filter((one) => !one.name.endsWith("model.json")) },
      /PyTorch 2\.9 or later.*without models\/model\.json/,
    ],
    [
      "another program's name",
      member("model.json", (one) => (one.name = "mlp/models/actor.json")),
      /but with actor/,
    ],
    [
      "before 2.8",
      {
        members: () => [
          { name: "version", bytes: Buffer.from("8.8") },
          { name: "serialized_exported_program.json", bytes: Buffer.from("{}") },
        ],
      },
      /before 2\.8/,
    ],
    [
      "2.8",
      { members: (all) => [...all, { name: "mlp/data/weights/model.pt", bytes: Buffer.alloc(1) }] },
      /PyTorch 2\.8, whose weights are pickled/,
    ],
    [
      "TorchScript",
      {
        members: () =>
          ["data.pkl", "constants.pkl", "code/__torch__.py"].map((name) => ({
            name: `m/${name}`,
            bytes: Buffer.alloc(1),
          })),
      },
      /TorchScript/,
    ],
    [
      "torch.save",
      { members: () => [{ name: "m/data.pkl", bytes: Buffer.alloc(1) }] },
      /an archive of torch\.save/,
    ],
    ["nothing", { members: () => [] }, /an empty archive/],
    ["another", { members: () => [{ name: "m/a.txt", bytes: Buffer.alloc(1) }] }, /another zip archive/],
    [
      "two folders",
      { members: (all) => [...all, { name: "other/a", bytes: Buffer.alloc(1) }] },
      /"other\/a" beside the folder "mlp"/,
    ],
  ],
  "zip archives that are damaged": [
    ["compressed", member("model.json", (one) => (one.method = 8)), /which is compressed/],
    ["encrypted", member("model.json", (one) => Object.assign(one, { flags: 1 })), /encrypted|damaged/],
    [
      "a name twice",
      { members: (all) => [...all, { name: "mlp/byteorder", bytes: Buffer.from("little") }] },
      /once for .* twice/,
    ],
    [
      "a name that leads out",
      { members: (all) => [...all, { name: "mlp/../../a", bytes: Buffer.alloc(1) }] },
      /damaged one: invalid relative path/,
    ],
    [
      "an absolute name",
      { members: (all) => [...all, { name: "/etc/passwd", bytes: Buffer.alloc(1) }] },
      /absolute path/,
    ],
    ["members that overlap", member("weight_1", (one) => (one.claims = { offset: 0 })), /bytes of their own/],
    ["a member beyond the end", member("weight_1", (one) => (one.claims = { size: 2 ** 31 })), /damaged one/],
    [
      "an offset beyond the end",
      member("weight_1", (one) => (one.claims = { offset: 2 ** 31 })),
      /beyond its end/,
    ],
  ],
});

describe("a file", () => {
  it("that PyTorch 2.8 wrote is refused, with what writes it anew", async () => {
    expect(await refusal(readFileSync(fixture("refused/2.8.0")))).toMatch(
      /PyTorch 2\.8, whose weights are pickled: in a later one torch\.export\.save\(torch\.export\.load\(file\), file\)/,
    );
  });

  it("that is cut short anywhere is refused", async () => {
    const bytes = readFileSync(fixture("mlp"));
    const file = write(bytes);
    for (let length = bytes.length - 1; length >= 0; length -= 97) {
      truncateSync(file, length);
      await expect(readProgram(file, options)).rejects.toMatchObject({
        code: "ERR_MODEL_FILE",
        message: expect.stringMatching(/^Expected .* but received /),
      });
    }
  });

  it.each([
    ["a pickle", Buffer.from([0x80, 0x02, 0x7d])],
    ["a web page", Buffer.from("<!doctype html>")],
    ["another kind of file", Buffer.from("hello")],
    ["another kind of file", Buffer.alloc(0)],
    ["Git LFS", Buffer.from("version https://git-lfs.github.com/spec/v1\n")],
  ])("that is %s is named", async (what, bytes) => {
    expect(await refusal(bytes)).toContain(what);
  });

  it("in which names are those of JavaScript's own is refused, or read as any other", async () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      const rename = (one: Member) => {
        one.bytes = Buffer.from(one.bytes.toString().replaceAll('"targets"', JSON.stringify(name)));
      };
      const file = write(edited("mlp", member("/model.json", rename)));
      const inputs = await readProgram(file, options).then(
        ({ description }) => description.inputs.map((one) => one.name),
        (error: Error) => error.message,
      );
      if (name === "__proto__") expect(inputs).toMatch(/"__proto__" in tensor_values/);
      else expect(inputs).toEqual(["inputs", name]);
    }
  });

  it("that leads beyond all integers is refused", async () => {
    const bytes = zip(unzip(readFileSync(fixture("mlp"))), { wide: true });
    const locator = bytes.lastIndexOf("PK\x06\x07", undefined, "latin1");
    const record = bytes.lastIndexOf("PK\x06\x06", undefined, "latin1");
    for (const at of [locator + 8, record + 48]) {
      const changed = Buffer.from(bytes);
      changed.writeBigUInt64LE(2n ** 63n + 5n, at);
      expect(await refusal(changed)).toMatch(/beyond its end/);
    }
  });

  it("that is missing, or a folder, is named", async () => {
    for (const file of [path.join(folder, "none.pt2"), folder])
      await expect(readProgram(file, options)).rejects.toMatchObject({ code: "ERR_FILE" });
  });
});
