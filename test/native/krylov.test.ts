import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { native } from "../../lib/native/load.js";
import type { NativeBatch, NativeKrylov, NativeModel, NativeVector } from "../../lib/native/surface.js";
import { addon, expectAllRejected, expectRejected, noCount, noHandle, type Wrong } from "./misuse.js";
import { initialized, smallBatch, smallModel } from "./support.js";

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

const good = { operator: "hessian", microBatch: 0, scaling: null, seed: 0 } as const;
const create = (): NativeKrylov => native().createKrylov(model, batch, good);

describe("a Krylov basis", () => {
  it("is orthonormal, and its steps say what the products are", async () => {
    const krylov = create();
    expect(krylov.size).toBe(0);
    expect(await krylov.start(vector)).toBe(true);
    const basis: NativeVector[] = [];
    const unit = (i: number) => Array.from({ length: i + 1 }, (_, k) => (k === i ? 1 : 0));
    for (let i = 0; i < 6; i++) {
      const { coefficients, beta, exhausted } = await krylov.step({});
      expect([coefficients.length, exhausted, krylov.size]).toEqual([i + 1, false, i + 2]);
      const q = await krylov.combination(unit(i));
      const { product } = await model.curvatureProduct(batch, q, "hessian", { microBatch: 0 });
      const said = await krylov.combination([...coefficients, beta]);
      const difference = await native().combine([product, said], [1, -1]);
      expect(await difference.norm()).toBeLessThan(1e-6 * (await product.norm()));
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
    krylov.dispose();
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
    const krylov = native().createKrylov(small, data, good);
    await krylov.start(null);
    const ended = [];
    for (let i = 0; i < 3; i++) ended.push((await krylov.step({})).exhausted);
    expect(ended).toEqual([false, false, true]);
    for (const handle of [small, data, krylov]) handle.dispose();
  });

  it("accounts for its vectors, and is cancelled with its basis as it was", async () => {
    const before = native().memory();
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

describe("misuse of a Krylov basis", () => {
  it("is told", async () => {
    await expectAllRejected([...noHandle, batch, vector], (m) => n.createKrylov(m, batch, good));
    await expectAllRejected([...noHandle, model, vector], (b) => n.createKrylov(model, b, good));
    await expectAllRejected([undefined, null, 1, "x"], (options) => n.createKrylov(model, batch, options));
    const wrong = (change: object) => n.createKrylov(model, batch, { ...good, ...change });
    await expectAllRejected(["H", 1, null, undefined], (operator) => wrong({ operator }));
    await expectAllRejected([...noCount, 2 ** 31], (microBatch) => wrong({ microBatch }));
    await expectAllRejected(noCount, (seed) => wrong({ seed }));
    await expectAllRejected([undefined, 0, {}, model], (scaling) => wrong({ scaling }));
    const foreign = native().createModel(
      {
        kind: "gpt2",
        vocabularySize: 3,
        contextLength: 2,
        width: 2,
        layers: 1,
        heads: 1,
        innerWidth: 2,
        activation: "gelu",
        normEpsilon: 1e-5,
        tied: true,
      },
      "float32",
    );
    await expectRejected("a batch that does not fit", () => n.createKrylov(foreign, batch, good));
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
    const unfilled = native().createKrylov(empty, batch, good);
    await unfilled.start(null);
    await expectRejected("a model without weights", () => unfilled.step({}));
    for (const handle of [foreign, empty, unfilled]) handle.dispose();
  });
});
