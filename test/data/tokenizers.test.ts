import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { jsonLinesTexts, loadTokenizer, tokenizeCorpus } from "../../lib/data/index.js";
import { failure, put, temporaryFolder } from "./helpers.js";
import { realData } from "./real-data.js";

/** What Python's tokenizers makes of the texts, see make_tokenizer_ids.py. */
interface Known {
  plain: number[];
  special: number[];
}
const stored = path.join(import.meta.dirname, "tokenizers");
const { texts, ...known } = JSON.parse(readFileSync(path.join(stored, "ids.json"), "utf8")) as {
  texts: string[];
} & Record<"gpt2" | "llama3" | "stories260k", Known[]>;
const places = {
  gpt2: path.join(stored, "gpt2.json"),
  llama3: path.join(stored, "llama3.json"),
  stories260k: path.join(realData, "stories260k/tokenizer.json"),
};

describe.each(["gpt2", "llama3", "stories260k"] as const)("the tokenizer %s", (name) => {
  it.skipIf(!existsSync(places[name]))("gives the ids of Python's, text by text", async () => {
    const tokenizer = await loadTokenizer(places[name]);
    expect(known[name]).toHaveLength(texts.length);
    for (const [i, { plain, special }] of known[name].entries()) {
      const text = texts[i] as string;
      expect([text, ...tokenizer.encode(text)]).toEqual([text, ...plain]);
      if (tokenizer.encodeDocument) {
        const document = tokenizer.encodeDocument(text, { endOfText: false });
        expect([text, ...document]).toEqual([text, ...special]);
      }
    }
    if (name === "stories260k") expect(known[name].every(({ special }) => special[0] === 1)).toBe(true);
  });
});

/** What Python's tokenizers makes of each kind of step, see make_tokenizer_steps.py. */
const steps = JSON.parse(readFileSync(path.join(stored, "steps.json"), "utf8")) as {
  texts: string[];
  base: object;
  cases: Record<string, { changes: object; ids: number[][] }>;
};

describe("a tokenizer with", () => {
  const folder = temporaryFolder();
  const write = (changes: object) =>
    put(folder, "tokenizer.json", JSON.stringify({ ...steps.base, ...changes }));

  it.each(Object.entries(steps.cases))("%s gives the ids of Python's", async (_, { changes, ids }) => {
    const tokenizer = await loadTokenizer(write(changes));
    const made = steps.texts.map((text) => [text, ...tokenizer.encode(text)]);
    expect(made).toEqual(ids.map((known, i) => [steps.texts[i], ...known]));
  });

  const { model } = steps.base as { model: object };
  const token = (id: number, more: object) => ({ added_tokens: [{ id, content: "word", ...more }] });
  it.each([
    ["an added token that is a whole word", token(640, { single_word: true }), 'word" with "single_word"'],
    [
      "a prefix within words",
      { model: { ...model, continuing_subword_prefix: "##" } },
      "continuing_subword_",
    ],
    ["dropout", { model: { ...model, dropout: 0.1 } }, '"dropout": 0.1'],
    ["scripts", { pre_tokenizer: { type: "UnicodeScripts" } }, "UnicodeScripts"],
    ["Nmt", { normalizer: { type: "Nmt" } }, "Nmt"],
    ["no model", { model: {} }, "Tokenizer"],
  ])("%s is refused by name", async (_, changes, part) => {
    await expect(loadTokenizer(write(changes))).rejects.toEqual(failure("ERR_DATA", part));
  });

  it("keys of slow tokenizers gives the same ids", async () => {
    const plain = (await loadTokenizer(write({}))).encode(" É  a ");
    put(folder, "tokenizer_config.json", '{"remove_space": true, "do_lowercase_and_remove_accent": true}');
    expect((await loadTokenizer(write({}))).encode(" É  a ")).toEqual(plain);
  });

  it("a byte order mark is the same", async () => {
    const file = write({});
    const plain = (await loadTokenizer(file)).encode("it's");
    put(folder, "tokenizer.json", `\ufeff${readFileSync(file, "utf8")}`);
    expect((await loadTokenizer(file)).encode("it's")).toEqual(plain);
  });
});

describe("documents", () => {
  const folder = temporaryFolder();
  const copy = (name: "gpt2" | "llama3") => put(folder, "tokenizer.json", readFileSync(places[name]));

  it("end with the token that the files beside the tokenizer name, the tokenizer's own first", async () => {
    const file = copy("gpt2");
    expect((await loadTokenizer(file)).encodeDocument).toBeUndefined();
    put(folder, "config.json", '{"eos_token_id": [7, 8]}');
    expect((await loadTokenizer(file)).encodeDocument?.("a").at(-1)).toBe(7);
    put(folder, "tokenizer_config.json", '{"eos_token": {"content": "<|endoftext|>"}}');
    const tokenizer = await loadTokenizer(file);
    const [a] = tokenizer.encode("a");
    expect(Array.from(tokenizer.encodeDocument?.("a") as Uint32Array)).toEqual([a, 0]);
    expect(Array.from(tokenizer.encodeDocument?.("a<|endoftext|>") as Uint32Array)).toEqual([a, 0]);
    expect(Array.from(tokenizer.encodeDocument?.("a", { endOfText: false }) as Uint32Array)).toEqual([a]);
  });

  it("begin with what the post-processor adds, and make a corpus whose documents are known", async () => {
    const tokenizer = await loadTokenizer(copy("llama3"));
    const lines = put(folder, "a.jsonl", '{"text":"a"}\n{"text":""}\n{"text":"it\'s"}\n{"text":"b"}');
    const corpus = await tokenizeCorpus("x", jsonLinesTexts([lines]), tokenizer, { limit: 8 });
    const [a, its, b] = ["a", "it's", "b"].map((text) => [...tokenizer.encode(text)]);
    const whole = [
      [0, ...(a ?? []), 0],
      [0, ...(its ?? []), 0],
      [0, ...(b ?? []), 0],
    ];
    expect(Array.from(await corpus.read(0, corpus.length))).toEqual(whole.flat().slice(0, 8));
    expect(corpus.length).toBe(8);
    expect(corpus.documents?.[0]).toBe(whole[0]?.length);
    expect(corpus.documents?.at(-1)).toBe(8);
  });
});
