import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { jsonLinesTexts, loadTokenizer, tokenizeCorpus } from "../../lib/data/index.js";
import { put, temporaryFolder } from "./helpers.js";
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
