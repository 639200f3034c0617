import {
  byteTokenizer,
  concatenated,
  ExampleBatches,
  jsonLinesTexts,
  listFiles,
  loadCifar10,
  loadTokenizer,
  openTokenFile,
  parquetTexts,
  plainTexts,
  syntheticExamples,
  type Texts,
  TokenBatches,
  templateText,
  tokenizeCorpus,
  tokensInMemory,
} from "../../lib/index.js";
import { each, fileOf, folderOf, type Row, type World } from "./world.js";

const npy = (header: string, data: Uint8Array = new Uint8Array(8), version = 1) => {
  const size = Buffer.alloc(2);
  size.writeUInt16LE(header.length);
  return Buffer.concat([
    Buffer.from("\x93NUMPY", "latin1"),
    Buffer.from([version, 0]),
    size,
    Buffer.from(header),
    data,
  ]);
};
const dict = (descr: string, order = "False", shape = "(4,)") =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
const open =
  (content: string | Uint8Array, name = "t.npy") =>
  (world: World) =>
    openTokenFile(fileOf(world, content, name));

/** Token files. */
export const tokenFileRows: Row[] = [
  ...each("openTokenFile of", [undefined, null, 3, "", {}, "a\0b"], (file) => openTokenFile(file)),
  ...each("openTokenFile's options", [null, 3, "uint16"], (options, w) =>
    openTokenFile(fileOf(w, "1234", "t.bin"), options),
  ),
  ...each("a token file's dtype", ["int16", "uint64", 16, null], (dtype, w) =>
    openTokenFile(fileOf(w, "1234"), { dtype }),
  ),
  ["tokens from nowhere", ({ folder }) => openTokenFile(`${folder}/nowhere.bin`)],
  ["tokens from a folder", ({ folder }) => openTokenFile(folder)],
  ["tokens from a device", () => openTokenFile("/dev/null")],
  ["tokens without header and dtype", open("12345678", "tokens.dat")],
  ["half a token", open("123", "t.bin")],
  ["an .npy file's magic alone", open(Buffer.from("\x93NUMPY", "latin1"))],
  ["an .npy file of version 9", open(npy(dict("'<u2'"), undefined, 9))],
  ["an .npy header cut short", open(npy(dict("'<u2'")).subarray(0, 30))],
  ["an .npy header that is none", open(npy("nothing of the kind"))],
  ["an .npy file of floats", open(npy(dict("'<f4'")))],
  ["an .npy file of signed numbers", open(npy(dict("'<i4'")))],
  ["an .npy file of fractions", open(npy(dict("'<f4'")))],
  ["an .npy file of records", open(npy(dict("[('a', '<u2')]")))],
  ["an .npy file in Fortran order", open(npy(dict("'<u2'", "True", "(2, 2)")))],
  ["an .npy file without a shape", open(npy("{'descr': '<u2', 'fortran_order': False}"))],
  ["an .npy file cut short", open(npy(dict("'<u2'"), new Uint8Array(7)))],
  ["an .npy file of 10²⁰ numbers", open(npy(dict("'<u2'", "False", "(10000000000, 10000000000)")))],
];

const texts = async (all: Texts) => {
  for await (const _ of all);
};
async function* none(): Texts {}
const lines = (content: string | Uint8Array) => (world: World) =>
  texts(jsonLinesTexts([fileOf(world, content)]));
const image = (label: number) => Buffer.concat([Buffer.from([label]), Buffer.alloc(3072)]);

/** Texts, tokenizers, images. */
export const fileRows: Row[] = [
  ["texts from nowhere", ({ folder }) => texts(plainTexts([`${folder}/nowhere`]))],
  ["a folder read as a text", ({ folder }) => texts(plainTexts([folder]))],
  ["files from nowhere", ({ folder }) => listFiles([`${folder}/nowhere`], ".txt")],
  ["a folder without such files", (w) => listFiles([folderOf(w, { a: "" })], ".txt")],
  ["JSON Lines from nowhere", ({ folder }) => texts(jsonLinesTexts([`${folder}/nowhere`]))],
  ["JSON Lines from a folder", ({ folder }) => texts(jsonLinesTexts([folder]))],
  ["a line that is no JSON", lines('{"text":"a"}\n{"text":')],
  ["a line that is a number", lines("3\n")],
  ["a line without the field", lines('{"content":"a"}\n')],
  ["a line whose text is a number", lines('{"text":3}\n')],
  ["a line that is null", lines("null\n")],
  ["lines that are zeros", lines(Buffer.alloc(100))],
  ["an empty corpus", () => tokenizeCorpus("the corpus", none(), byteTokenizer, { separator: "\n" })],
  ...each("the texts of a corpus", [undefined, null, 3], (t) =>
    tokenizeCorpus("c", t, byteTokenizer, { separator: "\n" }),
  ),
  ...each("the tokenizer of a corpus", [undefined, null, {}], (t) =>
    tokenizeCorpus("c", none(), t, { separator: "\n" }),
  ),
  ["a tokenizer from nowhere", ({ folder }) => loadTokenizer(`${folder}/tokenizer.json`)],
  ["a tokenizer from a folder", ({ folder }) => loadTokenizer(folder)],
  ...each(
    "the content of a tokenizer.json",
    ["", "{", "3", "null", "[]", "{}", '{"model":{}}', '{"model":{"type":"X"}}'],
    (content, w) => loadTokenizer(fileOf(w, content)),
  ),
  [
    "a tokenizer with a broken configuration",
    (w) =>
      loadTokenizer(
        `${folderOf(w, { "tokenizer.json": "{}", "tokenizer_config.json": "{" })}/tokenizer.json`,
      ),
  ],
  ["images from nowhere", ({ folder }) => loadCifar10([`${folder}/nowhere`])],
  ["a folder without images", (w) => loadCifar10([folderOf(w, {})])],
  ["an empty file of images", (w) => loadCifar10([fileOf(w, "")])],
  ["an image cut short", (w) => loadCifar10([fileOf(w, image(3).subarray(0, 3000))])],
  ["an image with the label 10", (w) => loadCifar10([fileOf(w, Buffer.concat([image(9), image(10)]))])],
  ...each("loadCifar10 of", [undefined, null, "folder", 3, [3], []], (paths) => loadCifar10(paths)),
  ...each("listFiles of", [undefined, null, 3, [null]], (paths) => listFiles(paths, ".txt")),
  ...each("plainTexts of", [undefined, null, [3]], (files) => texts(plainTexts(files))),
  ...each("jsonLinesTexts of", [undefined, null, [3]], (files) => texts(jsonLinesTexts(files))),
  ...each("parquetTexts of", [undefined, null, [3]], (files) => texts(parquetTexts(files))),
  ["Parquet from nowhere", ({ folder }) => texts(parquetTexts([`${folder}/nowhere.parquet`]))],
  ...each("the content of a Parquet file", ["", "PAR1", "PAR1\0\0\0\0PAR1"], (content, w) =>
    texts(parquetTexts([fileOf(w, content, "a.parquet")])),
  ),
  ...each("the text of a record", [null, 3, "", {}], (text, w) =>
    texts(jsonLinesTexts([fileOf(w, '{"text":"a"}')], text)),
  ),
  ...each("a template", [undefined, 3, "", "no field", "{}", "{a b}", "{a[}", "{a..b}"], (t) =>
    templateText(t),
  ),
  ...each("a corpus' separator", [3, null], (separator) =>
    tokenizeCorpus("c", none(), byteTokenizer, { separator }),
  ),
  ...each("a corpus' limit", [0, "3", 1.5], (limit) =>
    tokenizeCorpus("c", none(), byteTokenizer, { separator: "", limit }),
  ),
  ...each("a corpus' end of text", ["yes", 1], (endOfText) =>
    tokenizeCorpus("c", none(), byteTokenizer, { separator: "", endOfText }),
  ),
  ["a corpus of documents that nothing ends", () => tokenizeCorpus("c", none(), byteTokenizer)],
  ...each("loadTokenizer of", [undefined, null, "", 3], (file) => loadTokenizer(file)),
];

const stream = tokensInMemory(
  "ten tokens",
  Uint8Array.from({ length: 10 }, (_, i) => i),
);
const windows = (change: object) => new TokenBatches(stream, { size: 2, sequence: 3, seed: 1, ...change });
const set = syntheticExamples({ task: "regression", count: 10, features: 2, outputs: 1, seed: 1 });
const cut = (change: object) => new ExampleBatches(set, { size: 2, seed: 1, ...change });
const synthetic = (change: object) =>
  syntheticExamples({ task: "regression", count: 10, features: 2, outputs: 1, seed: 1, ...change } as never);

/** Batches cut from data, and data that are made. */
export const dataRows: Row[] = [
  ...each(
    "new TokenBatches of",
    [undefined, null, {}, []],
    (s) => new TokenBatches(s, { size: 1, sequence: 1, seed: 1 }),
  ),
  ...each("TokenBatches' options", [undefined, null, 3], (options) => new TokenBatches(stream, options)),
  ...each("TokenBatches' documents", ["split", 1], (documents) => windows({ documents })),
  ["TokenBatches' documents apart of tokens without documents", () => windows({ documents: "apart" })],
  ...each("TokenBatches' sampling", ["random", null], (sampling) => windows({ sampling })),
  [
    "TokenBatches' documents apart begun anywhere",
    () => windows({ documents: "apart", sampling: "anywhere" }),
  ],
  ...each("TokenBatches' size", [0, 1.5, NaN, "2", undefined], (size) => windows({ size })),
  ...each("sequence", [0, -1, 2.5, undefined], (sequence) => windows({ sequence })),
  ...each("TokenBatches' seed", [-1, 0.5, "1"], (seed) => windows({ seed })),
  ...each("validationFraction", [-0.1, 1, NaN, "0.1"], (validationFraction) =>
    windows({ validationFraction }),
  ),
  ["a sequence longer than the stream", () => windows({ sequence: 10 })],
  ["a validation part shorter than a sequence", () => windows({ validationFraction: 0.2 })],
  ...each("the step of a token batch", [0, -1, 1.5, NaN, "1", undefined], (step) =>
    windows({}).training(step),
  ),
  ...each("the index of a validation batch", [-1, 1.5, 99, "0"], (i) =>
    windows({ validationFraction: 0.5 }).validation(i),
  ),
  ["a validation batch without validation", () => windows({}).validation(0)],
  ...each("new ExampleBatches of", [undefined, null, {}], (s) => new ExampleBatches(s, { size: 1, seed: 1 })),
  ...each("ExampleBatches' size", [0, 11, 1.5, undefined], (size) => cut({ size })),
  ...each("ExampleBatches' validationFraction", [1, -1, 0.01], (validationFraction) =>
    cut({ validationFraction }),
  ),
  ...each("the step of an example batch", [0, -1, 0.5, NaN, "1", undefined], (step) =>
    cut({}).training(step),
  ),
  ...each("the index of validation examples", [-1, 9], (i) => cut({ validationFraction: 0.5 }).validation(i)),
  ...each("syntheticExamples of", [undefined, null, 3], (options) => syntheticExamples(options)),
  ...each("task", ["clustering", undefined, 1], (task) => synthetic({ task })),
  ...["count", "features", "outputs", "hidden"].flatMap((key) =>
    each(`synthetic ${key}`, [0, -1, 1.5, "3"], (value) => synthetic({ [key]: value })),
  ),
  ...each("noise", [-1, NaN, "0"], (noise) => synthetic({ noise })),
  ...each("the seed of synthetic examples", [NaN, "1", undefined, -1], (seed) => synthetic({ seed })),
  ...each("concatenated streams", [undefined, null, [], [3]], (streams) => concatenated(streams)),
  ...each("tokensInMemory of", [undefined, null, [1, 2], new Float32Array(2)], (tokens) =>
    tokensInMemory("tokens", tokens),
  ),
];
