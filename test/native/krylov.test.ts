import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { configureModel } from "../../lib/models/configuration.js";
import type { NativeBatch, NativeKrylov, NativeModel, NativeVector } from "../../lib/torch/index.js";
import { native } from "../../lib/torch/load.js";
import { addon, expectAllRejected, expectRejected, noCount, noHandle, type Wrong } from "./misuse.js";
import { initialized, settledMemory, smallBatch, smallModel } from "./support.js";

const n = addon();
let model: NativeModel;
let batch: NativeBatch;
let vector: NativeVector;
beforeAll(async () => {
  model = await initialized();
  batch = smallBatch();
  vector = (await model.gradient(batch, { microBatch: 0 })).gradient;
});
afterAll(() => {
  for (const handle of [model, batch, vector]) handle.dispose();
});

const exact = { operator: "hessian", microBatch: 0, keep: false } as const;
const curvatureOf = (m: NativeModel, b: NativeBatch, keep = false) =>
  native().createCurvature(m, b, { ...exact, keep });
const good = { scaling: null, seed: 0 } as const;
const create = (): NativeKrylov => {
  const curvature = curvatureOf(model, batch);
  const krylov = native().createKrylov(curvature, good);
  curvature.dispose();
  return krylov;
};

describe("a Krylov basis", () => {
  it("is orthonormal, and its steps say what the products are", async () => {
    const krylov = create();
    expect(krylov.size).toBe(0);
    expect(await krylov.start(vector)).toBe(true);
    const basis: NativeVector[] = [];
    const curvature = curvatureOf(model, batch);
    const unit = (i: number) => Array.from({ length: i + 1 }, (_, k) => (k === i ? 1 : 0));
    for (let i = 0; i < 6; i++) {
      const { coefficients, beta, exhausted } = await krylov.step({});
      expect([coefficients.length, exhausted, krylov.size]).toEqual([i + 1, false, i + 2]);
      const q = await krylov.combination(unit(i));
      const { product } = await curvature.product(q, {});
      const said = await krylov.combination([...coefficients, beta]);
      const difference = await native().combine([product, said], [1, -1]);
      expect(await difference.norm()).toBeLessThan(1e-6 * (await product.norm()));
      for (const made of [product, said, difference]) made.dispose();
      basis.push(q);
    }
    for (const [i, a] of basis.entries())
      for (const [k, b] of basis.entries())
        expect(Math.abs((await a.dot(b)) - (i === k ? 1 : 0))).toBeLessThan(1e-6);
    await krylov.restart([
      [0.6, 0, 0, 0, 0, 0.8],
      [0, 1, 0, 0, 0, 0],
    ]);
    expect(krylov.size).toBe(3);
    const rotated = await krylov.combination([1]);
    expect(await rotated.dot(basis[0] as NativeVector)).toBeCloseTo(0.6, 5);
    expect(await rotated.dot(basis[5] as NativeVector)).toBeCloseTo(0.8, 5);
    for (const handle of [krylov, curvature, rotated, ...basis]) handle.dispose();
  });

  it("ends when it spans the whole space", async () => {
    const small = native().createModel(
      { kind: "mlp", layerSizes: [2, 1], activation: "relu", loss: "mse" },
      "float64",
    );
    await small.initialize("pytorch", 1);
    const data = native().createExampleBatch(
      Float64Array.of(1, 2, 3, 4),
      [2, 2],
      Float64Array.of(1, 2),
      [2, 1],
    );
    const curvature = curvatureOf(small, data);
    const krylov = native().createKrylov(curvature, good);
    await krylov.start(null);
    const ended = [];
    for (let i = 0; i < 3; i++) ended.push((await krylov.step({})).exhausted);
    expect(ended).toEqual([false, false, true]);
    for (const handle of [small, data, curvature, krylov]) handle.dispose();
  });

  it("accounts for its vectors, and is cancelled with its basis as it was", async () => {
    const before = await settledMemory();
    const krylov = create();
    await krylov.start(null);
    await krylov.step({});
    const vectors = native().memory().bytes - before.bytes;
    expect(vectors).toBe(2 * 4 * 67);
    const cancel = native().createCancelToken();
    cancel.cancel();
    await expect(krylov.step({ cancel })).rejects.toMatchObject({ code: "CANCELLED" });
    expect(krylov.size).toBe(2);
    expect((await krylov.step({})).coefficients.length).toBe(2);
    krylov.dispose();
    expect(native().memory()).toEqual(before);
  });
});

describe("a curvature", () => {
  it("keeps between products what it accounts for, and follows the weights", async () => {
    const before = await settledMemory();
    const moving = await initialized();
    const own = native().memory();
    const [keeping, plain] = [curvatureOf(moving, batch, true), curvatureOf(moving, batch)];
    const same = async () => {
      const [a, b] = [await keeping.product(vector, {}), await plain.product(vector, {})];
      const difference = await native().combine([a.product, b.product], [1, -1]);
      expect([await difference.norm(), a.slope, a.version]).toEqual([0, b.slope, moving.version]);
      for (const made of [a.product, b.product, difference]) made.dispose();
      return b.slope;
    };
    const slope = await same();
    expect(native().memory().bytes).toBeGreaterThan(own.bytes);
    expect(await same()).toBe(slope);
    await moving.initialize("he", 5);
    expect(await same()).not.toBe(slope);
    for (const handle of [moving, keeping, plain]) handle.dispose();
    expect(native().memory()).toEqual(before);
  });

  it("is cancelled, and goes on", async () => {
    const curvature = curvatureOf(model, batch, true);
    const cancel = native().createCancelToken();
    cancel.cancel();
    await expect(curvature.product(vector, { cancel })).rejects.toMatchObject({ code: "CANCELLED" });
    const { product } = await curvature.product(vector, {});
    expect(await product.norm()).toBeGreaterThan(0);
    for (const handle of [curvature, product]) handle.dispose();
  });
});

describe("misuse of curvatures", () => {
  it("is told", async () => {
    await expectAllRejected([...noHandle, batch, vector], (m) => n.createCurvature(m, batch, exact));
    await expectAllRejected([...noHandle, model, vector], (b) => n.createCurvature(model, b, exact));
    await expectAllRejected([undefined, null, 1, "x"], (options) => n.createCurvature(model, batch, options));
    const wrong = (change: object) => n.createCurvature(model, batch, { ...exact, ...change });
    await expectAllRejected(["H", 1, null, undefined], (operator) => wrong({ operator }));
    await expectAllRejected([...noCount, 2 ** 31], (microBatch) => wrong({ microBatch }));
    await expectAllRejected([0, "yes", null, undefined], (keep) => wrong({ keep }));
    const curvature: Wrong = curvatureOf(model, batch);
    await expectAllRejected([...noHandle, model, batch], (v) => curvature.product(v, {}));
    await expectAllRejected([undefined, null, 1], (options) => curvature.product(vector, options));
    await expectAllRejected([...noHandle, model, batch], (c) => n.createKrylov(c, good));
    await expectAllRejected([undefined, null, 1], (options) => n.createKrylov(curvature, options));
    await expectAllRejected(noCount, (seed) => n.createKrylov(curvature, { ...good, seed }));
    await expectAllRejected([undefined, 0, {}, model], (scaling) =>
      n.createKrylov(curvature, { ...good, scaling }),
    );
    const foreign = native().createModel(
      configureModel({
        model_type: "gpt2",
        vocab_size: 3,
        n_positions: 2,
        n_embd: 2,
        n_layer: 1,
        n_head: 1,
      }).description,
      "float32",
    );
    await expectRejected("a batch that does not fit", () => n.createCurvature(foreign, batch, exact));
    const krylov: Wrong = create();
    await expectRejected("a step before the start", () => krylov.step({}));
    await expectRejected("a combination of nothing", () => krylov.combination([1]));
    await expectAllRejected([undefined, 0, {}, model], (first) => krylov.start(first));
    await krylov.start(null);
    await krylov.step({});
    await expectAllRejected([undefined, null, 1], (options) => krylov.step(options));
    await expectAllRejected([null, {}, model], (cancel) => krylov.step({ cancel }));
    await expectAllRejected(
      [undefined, [], [1], [[]], [[1], [1, 2]], [[1], [1]], [[NaN]], [["1"]]],
      (combinations) => krylov.restart(combinations),
    );
    await expectAllRejected([undefined, [], [1, 2, 3], [NaN], ["1"]], (c) => krylov.combination(c));
    expect(krylov.size).toBe(2);
    krylov.dispose();
    await expectAllRejected(["step", "start", "combination"], (name) =>
      krylov[name](name === "step" ? {} : null),
    );
    const empty = smallModel();
    const unfilled = native().createKrylov(curvatureOf(empty, batch), good);
    await unfilled.start(null);
    await expectRejected("a model without weights", () => unfilled.step({}));
    for (const handle of [foreign, empty, unfilled]) handle.dispose();
  });
});
