import { beforeAll, describe, expect, test } from "vitest";
import { Batch, createModel, type Model } from "../../lib/index.js";
import { badArgument, gpt, mlp } from "./files.js";

let language: Model;
let classifier: Model;
let regression: Model;
beforeAll(async () => {
  language = await createModel(gpt, { seed: 1 });
  regression = await createModel(mlp, { seed: 1 });
  classifier = await createModel({ ...mlp, loss: "cross_entropy" }, { seed: 1 });
});

const ids = [1, 5, 3, 9, 0, 2];
const labels = [5, 3, -100, 0, 2, 10];
const tokens = (data: object = {}) => Batch.tokens({ inputIds: ids, labels, shape: [2, 3], ...data });
const inputs = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
const classes = Int32Array.from([0, 2, 1]);
const targets = Float64Array.from({ length: 9 }, (_, i) => Math.cos(i));
const examples = (data: object = {}) => Batch.examples({ inputs, targets, shape: [3], ...data });

describe("tokens", () => {
  test("may come as integers of any kind", async () => {
    const loss = await language.loss(tokens());
    const positive = labels.map((l) => Math.max(l, 0));
    const unmasked = await language.loss(tokens({ labels: positive }));
    for (const type of [Int32Array, Uint32Array, Uint16Array, Uint8Array, Int16Array, Int8Array])
      expect(await language.loss(tokens({ inputIds: type.from(ids), labels: type.from(positive) }))).toBe(
        unmasked,
      );
    for (const type of [Int32Array, Int16Array])
      expect(await language.loss(tokens({ inputIds: type.from(ids), labels: type.from(labels) }))).toBe(loss);
    const wide = { inputIds: BigInt64Array.from(ids, BigInt), labels: BigInt64Array.from(labels, BigInt) };
    expect(await language.loss(tokens(wide))).toBe(loss);
    const within = Int32Array.from([7, ...ids, 7]).subarray(1, -1);
    expect(await language.loss(tokens({ inputIds: within }))).toBe(loss);
  });

  test("count where the label is not −100", async () => {
    const batch = tokens();
    expect([batch.kind, batch.shape, batch.count]).toEqual(["tokens", [2, 3], 5]);
    // The mean over all that count, not the mean of the rows' means.
    const row = (r: number) => ({
      inputIds: ids.slice(3 * r, 3 * r + 3),
      labels: labels.slice(3 * r, 3 * r + 3),
    });
    const rows = await Promise.all([0, 1].map((r) => language.loss(tokens({ ...row(r), shape: [1, 3] }))));
    const mean = (2 * (rows[0] as number) + 3 * (rows[1] as number)) / 5;
    expect(await language.loss(batch)).toBeCloseTo(mean, 6);
    const ignored = labels.map((l, i) => (i < 3 ? -100 : l));
    expect(await language.loss(tokens({ labels: ignored }), { microBatch: 1 })).toBeCloseTo(
      rows[1] as number,
      6,
    );
  });

  test("that cannot be used", () => {
    for (const key of ["inputIds", "labels"]) {
      const lists = [
        undefined,
        null,
        3,
        "012345",
        {},
        ["1", 2, 3, 4, 5, 6],
        [1, 2, 3, 4, 5, 6n],
        new Array(6),
      ];
      const arrays = [
        new Float32Array(6),
        new DataView(new ArrayBuffer(6)),
        new ArrayBuffer(6),
        new BigUint64Array(6),
      ];
      const numbers = [
        [1],
        ids.concat(1),
        [0.5, 1, 2, 3, 4, 5],
        [NaN, 1, 2, 3, 4, 5],
        [2 ** 31, 1, 2, 3, 4, 5],
      ];
      const negative = [[-1, 1, 2, 3, 4, 5], BigInt64Array.from(ids, () => -(2n ** 63n))];
      for (const value of [...lists, ...arrays, ...numbers, ...negative])
        expect(() => tokens({ [key]: value }), `${key} ${String(value)}`).toThrow(badArgument);
    }
    expect(() => tokens({ labels: ids.map(() => -100) })).toThrow(badArgument);
    for (const shape of [
      undefined,
      null,
      6,
      [],
      [6],
      [2, 3, 1],
      [2, 4],
      [0, 3],
      [-2, -3],
      [1.5, 4],
      ["2", 3],
      [2 ** 40, 2 ** 40],
    ])
      expect(() => tokens({ shape }), String(shape)).toThrow(badArgument);
    for (const data of [undefined, null, 3, []])
      expect(() => Batch.tokens(data as never)).toThrow(badArgument);
  });

  test("that do not fit the model", async () => {
    const wrong = [
      tokens({ inputIds: [11, 1, 2, 3, 4, 5] }),
      tokens({ labels: [11, 1, 2, 3, 4, 5] }),
      Batch.tokens({ inputIds: Array(7).fill(1), labels: Array(7).fill(1), shape: [1, 7] }),
      examples(),
    ];
    for (const batch of wrong) {
      await expect(language.loss(batch)).rejects.toEqual(badArgument);
      await expect(language.gradient(batch)).rejects.toEqual(badArgument);
    }
  });
});

describe("examples", () => {
  test("may come in float32, float64 or a list, with classes of any kind", async () => {
    const batch = examples();
    expect([batch.kind, batch.shape, batch.count]).toEqual(["examples", [3], 3]);
    const loss = await regression.loss(batch);
    expect(await regression.loss(examples({ inputs: Float64Array.from(inputs) }))).toBe(loss);
    expect(await regression.loss(examples({ inputs: Array.from(inputs) }))).toBe(loss);
    expect(await regression.loss(examples({ targets: Float32Array.from(targets) }))).toBe(loss);
    const classified = await classifier.loss(examples({ targets: classes }));
    for (const type of [Uint8Array, Int8Array, Uint32Array])
      expect(await classifier.loss(examples({ targets: type.from(classes) }))).toBe(classified);
    expect(await classifier.loss(examples({ targets: BigInt64Array.from(classes, BigInt) }))).toBe(
      classified,
    );
  });

  test("that cannot be used", () => {
    const bad = [
      undefined,
      null,
      3,
      "x",
      {},
      [],
      new Float32Array(0),
      new Float32Array(11),
      new Int32Array(12),
      [1, "2", 3],
      [NaN, 1, 2],
    ];
    for (const value of bad) expect(() => examples({ inputs: value }), String(value)).toThrow(badArgument);
    const wrong = [
      undefined,
      null,
      3,
      [],
      [0, 2, 1],
      new Float32Array(0),
      new Float32Array(8),
      Int32Array.from([0, 1]),
      Int32Array.from([0, -1, 2]),
    ];
    for (const value of wrong) expect(() => examples({ targets: value }), String(value)).toThrow(badArgument);
    for (const shape of [undefined, 3, [], [3, 4], [0], [-3], [2 ** 41], [5]])
      expect(() => examples({ shape }), String(shape)).toThrow(badArgument);
  });

  test("that do not fit the model", async () => {
    const wrong: [Model, Batch][] = [
      [regression, examples({ targets: classes })],
      [regression, examples({ targets: new Float32Array(6) })],
      [regression, examples({ inputs: new Float32Array(15) })],
      [classifier, examples()],
      [classifier, examples({ targets: Int32Array.from([0, 3, 1]) })],
      [regression, tokens()],
    ];
    for (const [model, batch] of wrong) await expect(model.loss(batch)).rejects.toEqual(badArgument);
  });
});

test("passes refuse options and batches that are none", async () => {
  const batch = examples();
  for (const microBatch of [0, -1, 1.5, NaN, "2", null, Infinity])
    for (const pass of [regression.loss.bind(regression), regression.gradient.bind(regression)])
      await expect(pass(batch, { microBatch } as object)).rejects.toEqual(badArgument);
  for (const signal of [null, {}, 3])
    await expect(regression.loss(batch, { signal } as object)).rejects.toEqual(badArgument);
  for (const wrong of [undefined, null, {}, inputs])
    await expect(regression.loss(wrong as never)).rejects.toEqual(badArgument);
  const { gradient } = await regression.gradient(batch);
  for (const perturbation of [null, 3, {}, { direction: gradient }, { direction: {}, learningRate: 1 }])
    await expect(regression.loss(batch, { perturbation } as object)).rejects.toEqual(badArgument);
  for (const learningRate of [NaN, Infinity, "1", null])
    await expect(
      regression.loss(batch, { perturbation: { direction: gradient, learningRate } } as object),
    ).rejects.toEqual(badArgument);
  for (const mode of ["View", 1, null])
    await expect(
      regression.loss(batch, { perturbation: { direction: gradient, learningRate: 1, mode } } as object),
    ).rejects.toEqual(badArgument);
  batch.dispose();
  await expect(regression.loss(batch)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
});

test("rows of a batch are a batch of their own: the mean of their losses, weighed, is the whole's", async () => {
  using whole = examples();
  const parts = [whole.rows(0, 1), whole.rows(1, 3)] as const;
  expect(parts.map(({ shape, count }) => [shape, count])).toEqual([
    [[1], 1],
    [[2], 2],
  ]);
  const all = await regression.loss(whole);
  const [first, rest] = [await regression.loss(parts[0]), await regression.loss(parts[1])];
  expect((first + 2 * rest) / 3).toBeCloseTo(all, 6);
  whole.dispose();
  // They outlive it.
  expect(await regression.loss(parts[1])).toBe(rest);
  for (const part of parts) part.dispose();
});

test("rows of tokens count their own labels", () => {
  using whole = Batch.tokens({ inputIds: [1, 2, 3, 4], labels: [2, 3, -100, -100], shape: [2, 2] });
  using first = whole.rows(0, 1);
  using second = whole.rows(1, 2);
  expect([first.count, second.count, second.shape]).toEqual([2, 0, [1, 2]]);
});
