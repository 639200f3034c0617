import { writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { jsonLinesTexts, parquetTexts, type TokenStream, templateText } from "../../lib/data/index.js";
import { openData } from "../../lib/data/open-data.js";
import { parseConfiguration } from "../../lib/experiments/index.js";
import { gptRun } from "../experiments/helpers.js";
import { collect, failure, put, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();
const compressors = { GZIP: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)) };
const record = {
  question: "Which?",
  choices: ["north", "south"],
  answer: 1,
  meta: { title: "Compass", constructor: "x" },
};

describe("a template", () => {
  it.each([
    ["Q: {question}\nA: {answer}", "Q: Which?\nA: 1"],
    ["{choices}", "north\nsouth"],
    ["{choices[0]} {choices.1} {choices[answer]}", "north south south"],
    ["{meta.title}{meta.constructor} {{question}}", "Compassx {Which?}"],
  ])("%j", (template, text) => {
    expect(templateText(template).of(record, "it")).toBe(text);
  });
  it("names the fields that it looks at", () => {
    expect(templateText("{choices[answer]} {meta.title} {answer}").fields).toEqual([
      "choices",
      "answer",
      "meta",
    ]);
  });
  it.each(["{missing}", "{meta}", "{choices[2]}", "{constructor}", "{question.length}"])(
    "says what a record has not: %s",
    (template) => {
      expect(() => templateText(template).of(record, "line 3")).toThrow(
        failure("ERR_DATA", "line 3") as Error,
      );
    },
  );
  it("makes the texts of JSON Lines", async () => {
    const file = put(folder, "a.jsonl", `${JSON.stringify(record)}\n${JSON.stringify(record)}\n`);
    const texts = await collect(jsonLinesTexts([file], templateText("{question} {choices[answer]}")));
    expect(texts).toEqual(["Which? south", "Which? south"]);
  });
});

function parquet(name: string, rows: number, codec: "SNAPPY" | "UNCOMPRESSED" | "GZIP" = "SNAPPY"): string {
  const file = path.join(folder, name);
  const data = Array.from({ length: rows }, (_, i) => `row ${i} é 🙂`);
  const columnData = [
    { name: "id", data: data.map((_, i) => i), type: "INT32" as const },
    { name: "text", data, type: "STRING" as const },
    { name: "answer", data: data.map((_, i) => `${i * i}`), type: "STRING" as const },
  ];
  writeFileSync(
    file,
    new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 7, codec, compressors })),
  );
  return file;
}

describe("Parquet", () => {
  it("gives the texts of a column, over row groups and files", async () => {
    const files = [parquet("a.parquet", 20), parquet("b.parquet", 3, "UNCOMPRESSED")];
    const expected = [20, 3].flatMap((n) => Array.from({ length: n }, (_, i) => `row ${i} é 🙂`));
    expect(await collect(parquetTexts(files))).toEqual(expected);
    expect((await collect(parquetTexts(files, templateText("{id}: {answer}"))))[19]).toBe("19: 361");
  });
  it("says which column is not there", async () => {
    await expect(collect(parquetTexts([parquet("c.parquet", 2)], "content"))).rejects.toEqual(
      failure("ERR_DATA", 'a column "content"'),
    );
    await expect(collect(parquetTexts([parquet("c.parquet", 2)], "id"))).rejects.toEqual(
      failure("ERR_DATA", "row 0 of"),
    );
  });
  it("is refused where it is cut short", async () => {
    const file = put(folder, "cut.parquet", Buffer.from("PAR1 and nothing that a Parquet file has"));
    await expect(collect(parquetTexts([file]))).rejects.toEqual(failure("ERR_DATA", "a Parquet file"));
  });
});

describe("a data section", () => {
  const data = (given: unknown) => parseConfiguration({ ...gptRun("a.txt"), data: given }).data;
  it.each([
    ["a.txt", "text"],
    ["A.MD", "text"],
    ["a.jsonl", "jsonl"],
    ["a.parquet", "parquet"],
    ["a.npy", "tokens"],
    ["a.bin", "tokens"],
    ["a.csv", "csv"],
    ["a.tsv", "csv"],
    ["a.json", "json"],
    ["a.arrow", "arrow"],
    ["a.jsonl.gz", "jsonl"],
    ["a.txt.zst", "text"],
    ["train-*.jsonl", "jsonl"],
  ])("is of the format that the name ends in: %s", (file, type) => {
    expect(data(file)).toEqual(data({ type, files: [file] }));
    expect(data({ files: file })).toEqual(data({ type, files: [file] }));
  });
  it.each([
    [path.join(folder, "odd.doc"), '".doc"'],
    [path.join(folder, "odd.parquet.gz"), '".gz"'],
    [path.join(folder, "none*.doc"), "at least one file"],
    [{ files: ["a.txt", "b.jsonl"] }, "files of one format"],
    [{ files: ["a"], field: "x" }, "a readable file or folder"],
    [{ files: [path.join(folder, "odd.doc")], field: "x" }, 'or a "type"'],
  ])("says why it is of none: %j", (given, part) => {
    for (const name of ["odd.doc", "odd.parquet.gz"]) put(folder, name, "odd");
    expect(() => data(given)).toThrow(failure("ERR_CONFIGURATION", part) as Error);
  });
  it("opens each of them", async () => {
    const rows = parquet("open.parquet", 2, "GZIP");
    const lines = put(folder, "open.jsonl", '{"q":"row 0","a":"é 🙂"}\n{"q":"row 1","a":"é 🙂"}');
    const text = put(folder, "open.txt", "row 0 é 🙂\n\nrow 1 é 🙂");
    const read = async (given: unknown) => {
      await using stream = (await openData(data(given), 0)) as TokenStream;
      return Buffer.from(await stream.read(0, stream.length)).toString();
    };
    const expected = "row 0 é 🙂\n\nrow 1 é 🙂\n\n";
    expect(await read(rows)).toBe(expected);
    expect(await read({ files: lines, template: "{q} {a}" })).toBe(expected);
    expect(await read(text)).toBe(expected);
    await expect(read({ files: lines, template: "{q}", field: "q" })).rejects.toThrow(/not both/);
  });
});
