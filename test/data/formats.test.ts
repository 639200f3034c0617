import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { findDataFiles } from "../../lib/data/find-files.js";
import {
  arrowTexts,
  byteTokenizer,
  csvTexts,
  jsonLinesTexts,
  jsonTexts,
  parquetTexts,
  plainTexts,
  type Texts,
  templateText,
  tokenizeCorpus,
} from "../../lib/data/index.js";
import { collect, failure, put, temporaryFolder } from "./helpers.js";

/** The same four records, see make_formats.py. */
const stored = path.join(import.meta.dirname, "formats");
const at = (name: string) => path.join(stored, name);
const texts = ["a é 🙂", "b\nc", "", "d\u2028e\u0085f"];
const ids = [[1, 2], [3], [], [70000, 5]];
const folder = temporaryFolder();

const readers = {
  jsonl: jsonLinesTexts,
  json: jsonTexts,
  csv: csvTexts,
  parquet: parquetTexts,
  arrow: arrowTexts,
} as const;
const read = (given: string, text?: Parameters<typeof arrowTexts>[1]): Promise<unknown[]> => {
  const { files, format } = findDataFiles([given]);
  return collect((readers[format as keyof typeof readers] as typeof arrowTexts)(files, text));
};
const numbers = (found: unknown[]) => found.map((row) => Array.from(row as Uint32Array));

describe("the same records", () => {
  it.each([
    "one",
    "shards",
    "file.arrow",
    "ids.parquet",
    "lines.json",
    "array.json",
    "table.csv",
    "lines.jsonl.zst",
    "one/*.arrow",
  ])("give the same texts from %s", async (name) => {
    expect(await read(at(name))).toEqual(texts);
  });

  it.each(["one", "shards", "file.arrow", "ids.parquet", "lines.json", "array.json", "lines.jsonl.zst"])(
    "give the same token ids from %s",
    async (name) => {
      expect(numbers(await read(at(name), "input_ids"))).toEqual(ids);
    },
  );

  it("give token ids where there is no text", async () => {
    expect(numbers(await read(at("ids")))).toEqual(ids);
  });

  it.each(["one", "ids.parquet", "lines.json", "array.json"])(
    "fill the same template from %s",
    async (name) => {
      const made = await read(at(name), templateText("{meta.title} {n}"));
      expect(made).toEqual(["one 1", "two 2", "three 3", "four 4"]);
    },
  );

  it("come in the order that was saved", async () => {
    expect(await read(at("selected"))).toEqual([texts[3], texts[0]]);
    expect(await read(at("split"))).toEqual([texts[1]]);
  });

  it.each([
    ["two splits", "splits", "train, test: name one"],
    ["files of two kinds", ".", "files of one format"],
  ])("are not guessed among %s", (_, name, part) => {
    expect(() => findDataFiles([at(name)])).toThrow(failure("ERR_DATA", part) as Error);
  });
});

describe("a folder", () => {
  const make = (files: Record<string, string>) => {
    const inside = temporaryFolder();
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(inside, name)), { recursive: true });
      put(inside, name, content);
    }
    return inside;
  };
  it("is all the data files in it, sorted, whatever speaks of them", () => {
    const inside = make({ "b.jsonl": "", "a/c.jsonl": "", "README.md": "", ".hidden.txt": "", "x.idx": "" });
    const { files, format } = findDataFiles([inside]);
    expect([format, ...files.map((file) => path.relative(inside, file))]).toEqual([
      "jsonl",
      "a/c.jsonl",
      "b.jsonl",
    ]);
  });
  it.each([
    ["an empty one", {}, "an empty folder"],
    ["a model's", { "config.json": "{}", "model.safetensors": "", "x/a.bin": "" }, "files of one format"],
    ["a model's alone", { "model.safetensors": "", "tokenizer.model": "" }, "none: model.safetensors"],
    ["one without data", { "a.doc": "" }, "none: a.doc"],
    [
      "a dataset without a file of its",
      { "state.json": '{"_data_files":[{"filename":"d.arrow"}]}' },
      "none called",
    ],
    [
      "a dataset that leaves its folder",
      { "state.json": '{"_data_files":[{"filename":"../d"}]}' },
      "_data_files",
    ],
    ["a dataset's broken list", { "state.json": "[" }, "JSON"],
    ["no names of splits", { "dataset_dict.json": '{"splits":["../.."]}' }, "splits"],
  ])("is refused: %s", (_, files, part) => {
    expect(() => findDataFiles([make(files)])).toThrow(failure("ERR_DATA", part) as Error);
  });
});

describe("text files", () => {
  it.each([
    [
      "U+2028, U+2029, U+0085, vertical tab",
      '{"text":"a\u2028b\u2029c\u0085d\\u000b"}\n',
      ["a\u2028b\u2029c\u0085d\v"],
    ],
    ["a byte order mark", '\ufeff{"text":"a"}\r\n{"text":"\ufeffb"}', ["a", "\ufeffb"]],
    ["no line feed at the end, empty lines", '\n{"text":"a"}\n\n \n{"text":"b"}', ["a", "b"]],
    ["lines that are strings", '"a"\n"b"', ["a", "b"]],
  ])("of JSON Lines have %s", async (_, content, expected) => {
    expect(await collect(jsonLinesTexts([put(folder, "a.jsonl", content)]))).toEqual(expected);
    const packed = put(folder, "a.jsonl.gz", gzipSync(content));
    expect(await collect(jsonLinesTexts([packed]))).toEqual(expected);
  });

  it("have lines that are longer than what is read at once", async () => {
    const long = "é🙂".repeat(50_000);
    const content = [long, "b", long].map((text) => JSON.stringify({ text })).join("\n");
    expect(await collect(jsonLinesTexts([put(folder, "long.jsonl", content)]))).toEqual([long, "b", long]);
  });

  it("begin without a byte order mark, whatever they are", async () => {
    const marked = (name: string, content: string) => put(folder, name, `\ufeff${content}`);
    expect(await collect(plainTexts([marked("m.txt", "a")]))).toEqual(["a"]);
    expect(await collect(csvTexts([marked("m.csv", "text,n\na,1\n")]))).toEqual(["a"]);
    expect(await collect(csvTexts([marked("m.tsv", "n\ttext\n1\ta,b\n")]))).toEqual(["a,b"]);
    expect(await collect(jsonTexts([marked("m.json", '["a"]')]))).toEqual(["a"]);
  });

  it.each([
    ["Latin-1", Buffer.from("caf\xe9 caf\xe9", "latin1"), "the byte 0xE9 at 3: convert it, `iconv"],
    ["a cut character", Buffer.from("ab🙂").subarray(0, 5), "0xF0 at 2"],
    ["an overlong form", Buffer.from([97, 0xc0, 0x80]), "0xC0 at 1"],
    ["a surrogate", Buffer.from([97, 98, 0xed, 0xa0, 0x80]), "0xED at 2"],
    ["UTF-16", Buffer.from("\ufeffab", "utf16le"), "iconv -f UTF-16"],
    ["UTF-16 without a mark", Buffer.from("some text", "utf16le"), "iconv -f UTF-16LE"],
    ["gzip", gzipSync("text"), 'name it "odd.txt.gz"'],
    ["zstd", readFileSync(at("lines.jsonl.zst")), 'name it "odd.txt.zst"'],
    ["Parquet", readFileSync(at("ids.parquet")), "Parquet"],
    ["Arrow", readFileSync(at("file.arrow")), "Arrow"],
    ["zip", Buffer.from("PK\x03\x04"), "unzip"],
    ["Git LFS", Buffer.from("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"],
  ])("are refused with what helps: %s", async (_, content, part) => {
    const file = put(folder, "odd.txt", content);
    for (const reading of [plainTexts([file]), jsonLinesTexts([file]), jsonTexts([file]), csvTexts([file])])
      await expect(collect(reading as Texts)).rejects.toEqual(failure("ERR_DATA", part));
  });

  it("say where in the file the byte is, lines further on", async () => {
    const file = put(
      folder,
      "far.jsonl",
      Buffer.from('\ufeff{"text":"\u00e9"}\n{"text":"\xff"}'.replace("\ufeff", ""), "latin1"),
    );
    await expect(collect(jsonLinesTexts([file]))).rejects.toEqual(failure("ERR_DATA", "0xE9 at 9"));
    const later = put(
      folder,
      "later.jsonl",
      Buffer.concat([Buffer.from('{"text":"é"}\n'), Buffer.from([0xff])]),
    );
    await expect(collect(jsonLinesTexts([later]))).rejects.toEqual(failure("ERR_DATA", "0xFF at 14"));
  });
});

describe("what is broken is one clear error", () => {
  const cut = (name: string, part = 0.6) => {
    const bytes = readFileSync(at(name));
    return bytes.subarray(0, Math.floor(bytes.length * part));
  };
  const arrow = "one/data-00000-of-00001.arrow";
  it.each<[string, string, string | Uint8Array, string]>([
    ["a null text", "a.jsonl", '{"text":"a"}\n{"text":null}', "null: leave out the records"],
    ["no text", "b.jsonl", '{"body":"a"}', "--field body"],
    ["an array over lines", "c.jsonl", '[\n{"text":"a"}\n]', 'name the file ".json"'],
    ["a web page", "d.jsonl", "<!DOCTYPE html>\n", "a web page"],
    ["a number", "e.jsonl", "3\n", "an object or a string"],
    ["negative ids", "f.jsonl", '{"input_ids":[1,-1]}', "-1 at [1]"],
    ["ids in fractions", "g.jsonl", '{"input_ids":[1.5]}', "1.5 at [0]"],
    ["lists of lists", "h.jsonl", '{"input_ids":[[1]]}', "array of objects"],
    ["cut JSON", "i.json", '[{"text":"a"}', "JSON"],
    ["an empty file", "j.json", "", "an empty file"],
    ["two lists", "k.json", '{"a":["x"],"b":["y"]}', "a and b"],
    ["an object of numbers", "l.json", '{"a":1}', "--field a"],
    ["an open quote", "m.csv", 'text\n"a', "Quote Not Closed"],
    ["cells too many", "n.csv", "text,n\na,1\nb\n", "on line 3"],
    ["no such column", "o.csv", "id,body\n1,a\n", "--field id"],
    ["a column twice", "p.csv", "text,text\na,b\n", "2 of them"],
    ["an empty table", "q.csv", "", "names the columns"],
    ["gzip cut short", "r.jsonl.gz", gzipSync('{"text":"a"}'.repeat(99)).subarray(0, 30), "unexpected end"],
    ["no gzip", "s.jsonl.gz", '{"text":"a"}', "incorrect header"],
    [
      "a pointer that says gzip",
      "t.jsonl.gz",
      "version https://git-lfs.github.com/spec/v1\n",
      "git lfs pull",
    ],
    ["zstd cut short", "u.jsonl.zst", cut("lines.jsonl.zst"), "zstd packed"],
    ["no zstd", "v.jsonl.zst", '{"text":"a", "more": "than a header"}', "zstd packed"],
    ["an Arrow stream cut short", "w.arrow", cut(arrow), "a whole Arrow file"],
    ["an Arrow file cut short", "x.arrow", cut("file.arrow"), "a whole Arrow file"],
    ["no Arrow", "y.arrow", Buffer.alloc(64), "Arrow file"],
    ["a pointer to Arrow", "z.arrow", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"],
    ["a pointer to Parquet", "a.parquet", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"],
  ])("%s", async (_, name, content, part) => {
    await expect(read(put(folder, name, content))).rejects.toEqual(failure("ERR_DATA", part));
  });

  it("a text of Arrow that lies outside of its buffer", async () => {
    const bytes = readFileSync(at(arrow));
    const place = bytes.indexOf(Buffer.from(Int32Array.of(0, 9, 12, 12).buffer));
    expect(place).toBeGreaterThan(0);
    bytes.writeInt32LE(9_000, place + 4);
    await expect(read(put(folder, "out.arrow", bytes))).rejects.toEqual(
      failure("ERR_DATA", "texts within their buffer"),
    );
  });

  it("a byte of Arrow, wherever it is", async () => {
    const whole = readFileSync(at(arrow));
    for (let i = 0; i < whole.length; i += 5) {
      const bytes = Buffer.from(whole);
      bytes[i] = 0x7f;
      const rows = await read(put(folder, "byte.arrow", bytes)).catch((error) => {
        expect(error).toEqual(failure("ERR_DATA", "Expected"));
        return [];
      });
      expect(rows.length).toBeLessThanOrEqual(4);
    }
  });

  it("columns that are not there", async () => {
    for (const name of ["one", "ids.parquet", "table.csv"])
      await expect(read(at(name), "body")).rejects.toEqual(failure("ERR_DATA", 'column "body"'));
  });
});

describe("a corpus of token ids", () => {
  const corpus = async (...given: Parameters<typeof tokenizeCorpus>) => {
    const stream = await tokenizeCorpus(...given);
    return { ...stream, tokens: Array.from(await stream.read(0, stream.length)) };
  };
  it("has its documents, and the vocabulary that they need", async () => {
    const found = await corpus("x", arrowTexts(findDataFiles([at("ids")]).files), undefined);
    expect(found.tokens).toEqual([1, 2, 3, 70000, 5]);
    expect(found.documents).toEqual([2, 3, 5]);
    expect(found.vocabularySize).toBe(70_001);
  });
  it("is not mixed with texts, which need a tokenizer", async () => {
    async function* both(): Texts {
      yield Uint32Array.of(1);
      yield "a";
    }
    const how = { separator: "\n" };
    await expect(corpus("x", both(), byteTokenizer, how)).rejects.toEqual(failure("ERR_DATA", "both"));
    const lines = jsonLinesTexts([put(folder, "text.jsonl", '{"text":"a"}')]);
    await expect(corpus("x", lines, undefined)).rejects.toEqual(failure("ERR_DATA", "no tokenizer"));
  });
  it("is read from a folder's copy too", async () => {
    const inside = temporaryFolder();
    for (const name of readdirSync(at("ids")))
      copyFileSync(path.join(at("ids"), name), path.join(inside, name));
    expect(numbers(await read(inside))).toEqual(ids);
  });
});
