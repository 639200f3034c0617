import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NativeBatch, NativeModel, NativeOptimizer, NativeVector } from "../../lib/torch/index.js";
import { addon, expectAllRejected, noCount, noHandle, type Wrong } from "./misuse.js";
import { initialized, optimizerOf, smallBatch } from "./support.js";

const n = addon();
let model: NativeModel;
let batch: NativeBatch;
let vector: NativeVector;
let adamw: NativeOptimizer;
beforeAll(async () => {
  model = await initialized();
  batch = smallBatch();
  vector = (await model.gradient(batch, { microBatch: 0 })).gradient;
  adamw = optimizerOf(model, "adamw", { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 });
});
afterAll(() => {
  for (const handle of [model, batch, vector, adamw]) handle.dispose();
});

describe("passes and vectors", () => {
  const pass = { microBatch: 0 };

  it("take handles of the right class", async () => {
    await expectAllRejected([...noHandle, model, vector, adamw], (b) => model.loss(b, null, pass));
    await expectAllRejected([...noHandle, model, vector, adamw], (b) => model.gradient(b, pass));
    await expectAllRejected([...noHandle, model, batch], (v) => vector.dot(v));
    await expectAllRejected([...noHandle, model, batch], (v) => adamw.accumulate(v));
    await expectAllRejected([...noHandle, vector, batch], (m) => n.difference(model, m));
    await expectAllRejected([...noHandle, vector, batch], (m) => n.loadVector(m, []));
  });

  it("take options that make sense", async () => {
    await expectAllRejected([undefined, null, 1, "x", () => 1], (options) =>
      model.loss(batch, null, options),
    );
    await expectAllRejected([...noCount, 2 ** 31], (microBatch) => model.loss(batch, null, { microBatch }));
    await expectAllRejected([1, "x", true], (perturbation) => model.loss(batch, perturbation, pass));
    const good = { direction: vector, learningRate: 1, mode: "view" };
    await expectAllRejected([NaN, Infinity, "1", null], (learningRate) =>
      model.loss(batch, { ...good, learningRate } as Wrong, pass),
    );
    await expectAllRejected(["View", 1, undefined], (mode) =>
      model.loss(batch, { ...good, mode } as Wrong, pass),
    );
    await expectAllRejected(noHandle, (direction) =>
      model.loss(batch, { ...good, direction } as Wrong, pass),
    );
    await expectAllRejected([NaN, Infinity, "2", 2n], (k) => vector.scale(k));
    await expectAllRejected([[], [true], [1, 1, 1, 1], "true", Array(2 ** 32 - 1)], (keep) =>
      vector.mask(keep),
    );
    await expectAllRejected([...noCount, 4], (index) => vector.has(index));
    await expectAllRejected([...noCount, 4], (index) => model.read(index, 0, 1));
    await expectAllRejected(noCount, (offset) => model.read(0, offset, 1));
    await expectAllRejected(noCount, (length) => vector.read(0, 0, length));
    await expectAllRejected([...noCount, 1025, 0], (threads) => n.setThreads(threads));
  });

  it("read what there is of a parameter, and no more", async () => {
    expect((await model.read(0, 120, 100)).byteLength).toBe(8);
    expect((await model.read(0, 128, 100)).byteLength).toBe(0);
    expect((await model.read(0, 2 ** 53, 2 ** 31)).byteLength).toBe(0);
    const bytes = Buffer.from(await model.read(0, 0, 2 ** 31));
    expect(bytes.subarray(10, 30)).toEqual(Buffer.from(await model.read(0, 10, 20)));
  });

  it("pass on what getters and proxies throw, whatever it is", async () => {
    const thrown = new Error("mine");
    const throwing = new Proxy(
      {},
      {
        get: () => {
          throw thrown;
        },
      },
    ) as Wrong;
    await expect(model.loss(batch, null, throwing)).rejects.toBe(thrown);
    await expect(
      model.loss(batch, null, {
        get microBatch(): number {
          throw 42;
        },
      }),
    ).rejects.toBe(42);
    expect(() => n.createModel(throwing, "float32")).toThrow(thrown);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    await expect(model.loss(batch, null, proxy as Wrong)).rejects.toBeInstanceOf(TypeError);
  });

  it("survive arguments that dispose of what they are given to", async () => {
    const victim = await initialized();
    const own = smallBatch();
    const options = {
      get microBatch() {
        victim.dispose();
        own.dispose();
        return 0;
      },
    };
    expect((await victim.loss(own, null, options)).loss).toBeGreaterThan(0);
  });
});
