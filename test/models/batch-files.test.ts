import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Batch, createModel, loadBatch, loadBatches, type Model } from "../../lib/index.js";
import { failure, put, temporaryFolder } from "../data/helpers.js";
import { badArgument, float32, float64, gpt, int64, mlp, pack, type RawTensor, raw } from "./files.js";

const root = temporaryFolder();
const write = (tensors: Record<string, RawTensor>) => put(root, "batch.safetensors", pack(tensors));

const ids = [1, 5, 3, 9, 0, 2];
const labels = [5, 3, -100, 0, 2, 10];
const inputs = Array.from({ length: 12 }, (_, i) => Math.fround(Math.sin(i)));
const targets = Array.from({ length: 9 }, (_, i) => Math.fround(Math.cos(i)));
const classes = [2, 0, 1];

let language: Model;
let regression: Model;
let classifier: Model;
beforeAll(async () => {
  language = await createModel(gpt, { seed: 1 });
  regression = await createModel(mlp, { seed: 1, dtype: "float64" });
  classifier = await createModel({ ...mlp, loss: "cross_entropy" }, { seed: 1, dtype: "float64" });
});

describe("one batch", () => {
  test("of tokens", async () => {
    const batch = await loadBatch(write({ input_ids: int64([2, 3], ids), labels: int64([2, 3], labels) }));
    expect([batch.kind, batch.shape, batch.count]).toEqual(["tokens", [2, 3], 5]);
    const same = Batch.tokens({ inputIds: ids, labels, shape: [2, 3] });
    expect(await language.loss(batch)).toBe(await language.loss(same));
  });

  test("of examples, in either precision, with numbers or classes as targets", async () => {
    const wide = Batch.examples({ inputs, targets: Float64Array.from(targets), shape: [3] });
    for (const x of [float32, float64])
      for (const y of [float32, float64]) {
        const batch = await loadBatch(write({ inputs: x([3, 4], inputs), targets: y([3, 3], targets) }));
        expect([batch.kind, batch.shape, batch.count]).toEqual(["examples", [3], 3]);
        expect(await regression.loss(batch)).toBe(await regression.loss(wide));
      }
    const labelled = await loadBatch(
      write({ inputs: float64([3, 4], inputs), targets: int64([3], classes) }),
    );
    const same = Batch.examples({ inputs, targets: Int32Array.from(classes), shape: [3] });
    expect(await classifier.loss(labelled)).toBe(await classifier.loss(same));
  });

  test("of integers of any size, with a mask of any", async () => {
    const whole = [5, 3, 4, 0, 2, 10];
    const same = Batch.tokens({ inputIds: ids, labels: whole, shape: [2, 3] });
    const kinds = [
      ["I64", BigInt64Array.from(ids, BigInt), BigInt64Array.from(whole, BigInt)],
      ["U64", BigUint64Array.from(ids, BigInt), BigUint64Array.from(whole, BigInt)],
      ["I32", Int32Array.from(ids), Int32Array.from(whole)],
      ["U32", Uint32Array.from(ids), Uint32Array.from(whole)],
      ["I16", Int16Array.from(ids), Int16Array.from(whole)],
      ["U16", Uint16Array.from(ids), Uint16Array.from(whole)],
      ["I8", Int8Array.from(ids), Int8Array.from(whole)],
      ["U8", Uint8Array.from(ids), Uint8Array.from(whole)],
    ] as const;
    for (const [dtype, inputIds, follow] of kinds) {
      const token = { input_ids: raw(dtype, [2, 3], inputIds), labels: raw(dtype, [2, 3], follow) };
      expect(await language.loss(await loadBatch(write(token)))).toBe(await language.loss(same));
      for (const mask of [raw("BOOL", [2, 3], new Uint8Array(6).fill(1)), int64([2, 3], Array(6).fill(1))]) {
        const batch = await loadBatch(write({ ...token, attention_mask: mask }));
        expect(await language.loss(batch)).toBe(await language.loss(same));
      }
    }
    const beyond = raw("U64", [2, 3], BigUint64Array.of(2n ** 63n, 1n, 1n, 1n, 1n, 1n));
    await expect(loadBatch(write({ input_ids: beyond, labels: int64([2, 3], whole) }))).rejects.toEqual(
      failure("ERR_BATCH_FILE", "token ids ≥ 0"),
    );
  });

  test("of padded rows, whose padding is no part of the loss", async () => {
    const padded = {
      input_ids: int64([2, 3], [7, 1, 5, 9, 0, 2]),
      labels: int64([2, 3], [-100, 5, 3, 0, 2, 10]),
      attention_mask: int64([2, 3], [0, 1, 1, 1, 1, 1]),
      position_ids: int64([2, 3], [0, 0, 1, 0, 1, 2]),
    };
    const same = Batch.tokens({
      inputIds: [1, 5, 7, 9, 0, 2],
      labels: [5, 3, -100, 0, 2, 10],
      shape: [2, 3],
    });
    expect(await language.loss(await loadBatch(write(padded)))).toBe(await language.loss(same));
    const { position_ids: _, ...without } = padded;
    await expect(language.loss(await loadBatch(write(without)))).rejects.toThrow("position_ids = ");
  });

  test("whose labels were not shifted is an error, unless the file says that they are meant", async () => {
    const tensors = { input_ids: int64([2, 3], ids), labels: int64([2, 3], ids) };
    await expect(loadBatch(write(tensors))).rejects.toEqual(
      failure("ERR_BATCH_FILE", "labels = torch.nn.functional.pad"),
    );
    const meant = put(root, "meant.safetensors", pack(tensors, { labels: "shifted" }));
    expect((await loadBatch(meant)).count).toBe(6);
    const other = put(root, "other.safetensors", pack(tensors, { labels: "unshifted" }));
    await expect(loadBatch(other)).rejects.toEqual(failure("ERR_BATCH_FILE", "torch.nn.functional.pad"));
  });

  test("of examples in half precision, widened", async () => {
    const halves = [1, -1, 0.5, 2, 3, -0.25];
    const bits = [0x0000, 0x3c00, 0xc100, 0x0001, 0x7bff, 0x2e66, 0x4000, 0x4200];
    const wide = Float32Array.from([0, 1, -2.5, 2 ** -24, 65504, 0.0999755859375, 2, 3]);
    const targetBits = Uint16Array.from([0x3f80, 0xbf80, 0x3f00, 0x4000, 0x4040, 0xbe80]);
    const batch = await loadBatch(
      write({
        inputs: raw("F16", [2, 4], Uint16Array.from(bits)),
        targets: raw("BF16", [2, 3], targetBits),
      }),
    );
    const same = Batch.examples({ inputs: wide, targets: Float32Array.from(halves), shape: [2] });
    expect(await regression.loss(batch)).toBe(await regression.loss(same));
    const small = await loadBatch(
      write({ inputs: float64([3, 4], inputs), targets: raw("U8", [3], Uint8Array.from(classes)) }),
    );
    const labelled = Batch.examples({ inputs, targets: Int32Array.from(classes), shape: [3] });
    expect(await classifier.loss(small)).toBe(await classifier.loss(labelled));
  });
});

describe("a series", () => {
  test("of tokens, in order", async () => {
    const series = await loadBatches(
      write({ input_ids: int64([3, 1, 2], ids), labels: int64([3, 1, 2], labels) }),
    );
    expect(series.map((b) => [b.shape, b.count])).toEqual([
      [[1, 2], 2],
      [[1, 2], 1],
      [[1, 2], 2],
    ]);
    for (const [i, batch] of series.entries()) {
      const part = { inputIds: ids.slice(2 * i, 2 * i + 2), labels: labels.slice(2 * i, 2 * i + 2) };
      expect(await language.loss(batch)).toBe(await language.loss(Batch.tokens({ ...part, shape: [1, 2] })));
    }
  });

  test("of examples, in order", async () => {
    const file = write({ inputs: float32([3, 1, 4], inputs), targets: float32([3, 1, 3], targets) });
    for (const [i, batch] of (await loadBatches(file)).entries()) {
      const x = inputs.slice(4 * i, 4 * i + 4);
      const y = Float64Array.from(targets.slice(3 * i, 3 * i + 3));
      const same = Batch.examples({ inputs: x, targets: y, shape: [1] });
      expect(await regression.loss(batch)).toBe(await regression.loss(same));
    }
    const withClasses = write({ inputs: float32([3, 1, 4], inputs), targets: int64([3, 1], classes) });
    const losses = await Promise.all((await loadBatches(withClasses)).map((b) => classifier.loss(b)));
    const whole = Batch.examples({ inputs, targets: Int32Array.from(classes), shape: [3] });
    expect(losses.reduce((a, b) => a + b) / 3).toBeCloseTo(await classifier.loss(whole), 12);
  });

  test("of one is a single batch, and a series is none", async () => {
    const single = write({ input_ids: int64([2, 3], ids), labels: int64([2, 3], labels) });
    expect((await loadBatches(single)).map((b) => b.shape)).toEqual([[2, 3]]);
    const series = write({ input_ids: int64([1, 2, 3], ids), labels: int64([1, 2, 3], labels) });
    await expect(loadBatch(series)).rejects.toEqual(failure("ERR_BATCH_FILE", "a series of 1"));
  });
});

describe("an error names the file and what is wrong:", () => {
  const token = { input_ids: int64([2, 3], ids), labels: int64([2, 3], labels) };
  const example = { inputs: float32([3, 4], inputs), targets: float32([3, 3], targets) };
  const cases: [string, Record<string, RawTensor>, string][] = [
    ["no tensors", {}, "none"],
    ["others", { x: float32([1], [1]) }, "x"],
    ["no labels", { input_ids: token.input_ids }, '"labels"'],
    ["no targets", { inputs: example.inputs }, '"targets"'],
    ["ids that are no integers", { ...token, input_ids: float32([2, 3], ids) }, '"input_ids"'],
    ["labels that are no integers", { ...token, labels: float32([2, 3], labels) }, '"labels"'],
    ["inputs that are integers", { ...example, inputs: int64([3, 4], inputs.map(Math.round)) }, '"inputs"'],
    [
      "an eighth of precision",
      { ...example, inputs: raw("F8_E4M3", [3, 4], new Uint8Array(12)) },
      "float8_e4m3fn",
    ],
    ["complex targets", { ...example, targets: raw("C64", [3, 3], new Float32Array(18)) }, "complex64"],
    ["truths as ids", { ...token, input_ids: raw("BOOL", [2, 3], new Uint8Array(6)) }, "bool"],
    ["a mask of floats", { ...token, attention_mask: float32([2, 3], Array(6).fill(1)) }, '"attention_mask"'],
    ["a mask of four axes", { ...token, attention_mask: int64([1, 1, 2, 3], Array(6).fill(1)) }, "[1,1,2,3]"],
    ["positions of one row", { ...token, position_ids: int64([1, 3], [0, 1, 2]) }, "[1,3]"],
    [
      "labels that count on padding",
      { ...token, attention_mask: int64([2, 3], [1, 1, 0, 1, 1, 0]) },
      "masked_fill",
    ],
    ["a tensor that may matter", { ...token, token_type_ids: int64([2, 3], ids) }, '"token_type_ids"'],
    ["tokens and examples", { ...token, ...example }, '"inputs"'],
    ["sample weights", { ...example, sample_weights: float32([3], [1, 1, 1]) }, '"sample_weights"'],
    ["weights of another number", { ...example, weights: float32([2], [1, 1]) }, '"weights"'],
    [
      "a reference of tokens",
      { ...token, reference_log_probabilities: float32([2, 3], ids) },
      '"reference_log_probabilities"',
    ],
    ["other labels than ids", { ...token, labels: int64([3, 2], labels) }, "[2,3] and [3,2]"],
    ["other targets than inputs", { ...example, targets: float32([9, 1], targets) }, "[3,4] and [9,1]"],
    ["as many classes as rows are not", { ...example, targets: int64([2], [0, 1]) }, "[3,4] and [2]"],
    ["one axis", { input_ids: int64([6], ids), labels: int64([6], labels) }, "[6] and [6]"],
    ["four axes", { input_ids: int64([1, 1, 2, 3], ids), labels: int64([1, 1, 2, 3], labels) }, "[1,1,2,3]"],
    ["no axes", { input_ids: int64([], [1]), labels: int64([], [1]) }, "[] and []"],
    ["a series and a batch", { ...token, labels: int64([1, 2, 3], labels) }, "[1,2,3]"],
    ["nothing in them", { input_ids: int64([0, 3], []), labels: int64([0, 3], []) }, "empty"],
    ["a negative id", { ...token, input_ids: int64([2, 3], [1, -5, 3, 9, 0, 2]) }, "-5"],
    ["no label that counts", { ...token, labels: int64([2, 3], Array(6).fill(-100)) }, "-100"],
    ["a negative class", { ...example, targets: int64([3], [0, -1, 1]) }, "-1"],
  ];
  test.each(cases)("%s", async (_, tensors, part) => {
    const file = write(tensors);
    for (const load of [loadBatch, loadBatches])
      for (const said of [file, part])
        await expect(load(file)).rejects.toEqual(failure("ERR_BATCH_FILE", said));
  });

  test("which of a series", async () => {
    const second = int64([3, 1, 2], [1, 2, 3, -7, 5, 6]);
    const file = write({ input_ids: second, labels: int64([3, 1, 2], labels) });
    await expect(loadBatches(file)).rejects.toEqual(failure("ERR_BATCH_FILE", "batch 1 of 3"));
  });

  test("a file that cannot be read, or is none", async () => {
    const cut = put(root, "cut.safetensors", pack(token).subarray(0, -1));
    const nowhere = path.join(root, "nowhere");
    for (const load of [loadBatch, loadBatches]) {
      await expect(load(cut)).rejects.toEqual(failure("ERR_SAFETENSORS", cut));
      await expect(load(nowhere)).rejects.toEqual(failure("ERR_FILE", nowhere));
      await expect(load(root)).rejects.toEqual(failure("ERR_FILE", root));
      for (const file of [undefined, null, "", 3, "a\0b"])
        await expect(load(file as string)).rejects.toEqual(badArgument);
    }
  });
});
