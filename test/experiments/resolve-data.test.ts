import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { resolveData } from "../../lib/data/description.js";

import { parseConfiguration, readConfiguration } from "../../lib/experiments/index.js";
import { failure, put } from "../data/helpers.js";
import { gptRun, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();

/** A model's folder as far as data go by it. */
function model(name: string, files: Record<string, string>): string {
  const directory = path.join(folder, name);
  mkdirSync(directory, { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(path.join(directory, file), content);
  return directory;
}
const own = model("own", { "tokenizer.json": "{}", "config.json": '{"vocab_size": 50257}' });
const bytes = model("bytes", { "config.json": '\ufeff{"vocab_size": 256}' });
const none = model("none", { "config.json": '{"vocab_size": 50257}' });

const train = (directory: string | undefined, data: unknown) =>
  parseConfiguration({ ...gptRun("a.txt"), ...(directory ? { model: { directory } } : {}), data }).data;

describe("the tokenizer of a run", () => {
  it.each(["a.jsonl", "a.txt", "a.csv", "state-of-the-union"])(
    "is that of the model's folder: %s",
    (data) => {
      expect(train(own, data)).toMatchObject({ tokenizer: path.join(own, "tokenizer.json") });
      expect(train(own, train(own, data))).toEqual(train(own, data));
    },
  );
  it("is bytes where the vocabulary is, and for a model that is made here", () => {
    expect(train(bytes, "a.txt")).toMatchObject({ tokenizer: "bytes" });
    expect(train(undefined, "a.txt")).toMatchObject({ tokenizer: "bytes" });
  });
  it("is asked for where nothing says it", () => {
    expect(() => train(none, "a.txt")).toThrow(failure("ERR_CONFIGURATION", "save_pretrained") as Error);
    expect(train(none, { files: "a.txt", tokenizer: "bytes" })).toMatchObject({ tokenizer: "bytes" });
    const given = path.resolve("t/tokenizer.json");
    expect(train(own, { files: "a.txt", tokenizer: "t/tokenizer.json" })).toMatchObject({ tokenizer: given });
  });
  it("is not needed for token ids", () => {
    expect(train(none, "a.npy")).not.toHaveProperty("tokenizer");
    expect(train(none, { files: "a.jsonl", field: "input_ids" })).toEqual({
      type: "jsonl",
      files: [path.resolve("a.jsonl")],
      field: "input_ids",
    });
  });
});

describe("data of a folder", () => {
  const place = { directories: [own], absolute: (file: string) => path.resolve(folder, file) };
  it("are of the format of its files", () => {
    const inside = model("shards", { "a.jsonl.gz": "", "b.jsonl.gz": "" });
    const tokens = model("tokens", { "a.bin": "", "b.bin": "" });
    expect(train(own, inside)).toMatchObject({ type: "jsonl", files: [inside] });
    expect(train(own, { files: [`${inside}/*`], field: "body" })).toMatchObject({
      type: "jsonl",
      field: "body",
    });
    expect(train(own, { files: [tokens], dtype: "uint32" })).toEqual({
      type: "tokens",
      files: [tokens],
      dtype: "uint32",
    });
    expect(resolveData({ type: "files", files: ["shards"] }, place)).toMatchObject({ type: "jsonl" });
  });
  it("are refused where a key does not go with it", () => {
    const inside = model("more", { "a.jsonl": "" });
    expect(() => train(own, { files: [inside], dtype: "uint32" })).toThrow(
      failure("ERR_CONFIGURATION", "dtype") as Error,
    );
    expect(() => train(own, { files: [folder] })).toThrow(
      failure("ERR_CONFIGURATION", "one format") as Error,
    );
  });
});

describe("a configuration file", () => {
  it("may begin with a byte order mark", async () => {
    const plain = put(folder, "plain.json", JSON.stringify(gptRun("a.txt")));
    const marked = put(folder, "marked.json", `\ufeff${JSON.stringify(gptRun("a.txt"))}`);
    expect(await readConfiguration(marked)).toEqual(await readConfiguration(plain));
  });
  it("that is no UTF-8 is refused by its byte", async () => {
    const file = put(folder, "latin1.json", Buffer.from('{"model": "\xe9"}', "latin1"));
    await expect(readConfiguration(file)).rejects.toEqual(failure("ERR_DATA", "0xE9 at 11"));
  });
});
