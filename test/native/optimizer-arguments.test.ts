import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NativeBatch, NativeModel, NativeOptimizer } from "../../lib/torch/index.js";
import { addon, expectAllRejected, expectRejected, noCount, noHandle, type Wrong } from "./misuse.js";
import { groups, initialized, optimizerOf, smallBatch } from "./support.js";

const n = addon();
let model: NativeModel;
let batch: NativeBatch;
let adamw: NativeOptimizer;
beforeAll(async () => {
  model = await initialized();
  batch = smallBatch();
  adamw = optimizerOf(model, "adamw", { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 });
});
afterAll(() => {
  for (const handle of [model, batch, adamw]) handle.dispose();
});

describe("optimizers and files", () => {
  it("take options that make sense", async () => {
    const good = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 };
    const make = (name: Wrong, options: Wrong, own: Wrong = groups(), m: Wrong = model) =>
      n.createOptimizer(m, own, [{ name, options }], [0, 0, 0, 0]);
    for (const key of ["beta1", "beta2"])
      await expectAllRejected([1, -0.1, NaN, "0", undefined, true], (value) =>
        make("adamw", { ...good, [key]: value }),
      );
    await expectAllRejected([-1, NaN, null], (epsilon) => make("adamw", { ...good, epsilon }));
    await expectAllRejected([-0.1, 1, Infinity, "0"], (momentum) =>
      make("sgd", { momentum, nesterov: false }),
    );
    await expectAllRejected([0, "no", undefined], (nesterov) => make("sgd", { momentum: 0, nesterov }));
    const lists: Wrong[] = [[], [1, 1, 1], [1, 1, 1, NaN], [1, 1, 1, -1], ["1", 1, 1, 1], "1111", null];
    await expectAllRejected([...lists, [1, 1, 1, 0]], (learningRateRatio) =>
      make("adamw", good, { ...groups(), learningRateRatio }),
    );
    await expectAllRejected(lists, (weightDecay) => make("adamw", good, { ...groups(), weightDecay }));
    await expectAllRejected(noHandle, (m) =>
      n.createOptimizer(
        m,
        groups(),
        [{ name: "sgd", options: { momentum: 0, nesterov: false } }],
        [0, 0, 0, 0],
      ),
    );
  });

  it("take rules that there are, one for each parameter", async () => {
    const rule = { name: "sgd", options: { momentum: 0, nesterov: false } };
    await expectAllRejected(["none", "", 3, undefined, "x".repeat(1000)], (name) =>
      n.createOptimizer(model, groups(), [{ ...rule, name }], [0, 0, 0, 0]),
    );
    await expectAllRejected([undefined, null, 3, "fast"], (options) =>
      n.createOptimizer(model, groups(), [{ ...rule, options }], [0, 0, 0, 0]),
    );
    await expectAllRejected([[], [null], "sgd", undefined, {}, Array(100).fill(rule)], (rules) =>
      n.createOptimizer(model, groups(), rules, [0, 0, 0, 0]),
    );
    await expectAllRejected([[], [0], [0, 0, 0, 1], [0, 0, 0, -1], [0, 0, 0, 0.5], "0000", null], (of) =>
      n.createOptimizer(model, groups(), [rule], of),
    );
    const mixed = [rule, { name: "adamw", options: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 } }];
    const both = n.createOptimizer(model, groups(), mixed, [0, 1, 1, 0]) as NativeOptimizer;
    expect(both.roles).toEqual([
      ["momentum"],
      ["exp_avg", "exp_avg_sq"],
      ["exp_avg", "exp_avg_sq"],
      ["momentum"],
    ]);
    both.dispose();
  });

  it("need a gradient, a state and numbers", async () => {
    const calls: (() => unknown)[] = [
      () => adamw.direction({ weightDecay: true }),
      () => adamw.preconditioner(),
      () => adamw.step(0.1),
      () => adamw.restore(3, {}),
    ];
    for (const call of calls) await expectRejected(String(call), call);
    await expectAllRejected([NaN, Infinity, "1", undefined], (rate) => adamw.step(rate));
    await expectAllRejected([{}, { weightDecay: 1 }, null], (options) => adamw.direction(options));
    await expectAllRejected(noCount, (steps) => adamw.restore(steps, {}));
    await expectAllRejected([{ exp_avg: {} }, { exp_avg: null }, null, 1], (state) =>
      adamw.restore(1, state),
    );
    expect(adamw.steps).toBe(0);
    await adamw.restore(0, {});
  });

  it("are places in regular files that are long enough", async () => {
    const here = path.resolve(import.meta.dirname, "support.ts");
    const place = { path: here, byteOffset: 0, dtype: "float32" };
    const load = (last: Wrong) => model.load([place, place, place, last] as Wrong);
    await expectAllRejected(
      ["", "a\0b", 1, null, "/nowhere/at/all", import.meta.dirname, "/dev/null"],
      (file) => load({ ...place, path: file }),
    );
    await expectAllRejected([...noCount, 2 ** 53, 2 ** 40], (byteOffset) => load({ ...place, byteOffset }));
    await expectAllRejected(["int64", "F32", 32, undefined], (dtype) => load({ ...place, dtype }));
    await expectAllRejected([null, undefined, 3, "x"], (entry) => load(entry));
    await expectAllRejected([[], [place], [null, null, null, null, null], "x", null], (places) =>
      model.load(places),
    );
    await expectAllRejected([[place], [1, 1, 1, 1]], (places) => n.loadVector(model, places));
    expect(model.version).toBe(1);
    const zeros = await n.loadVector(model, [null, null, null, null]);
    expect([zeros.byteLength, zeros.has(0), await zeros.norm()]).toEqual([0, false, 0]);
    expect(new Uint8Array(await zeros.read(0, 0, 3))).toEqual(new Uint8Array(3));
    zeros.dispose();
  });

  it("leave everything usable", async () => {
    expect((await model.loss(batch, null, { microBatch: 0 })).loss).toBeGreaterThan(0);
  });
});
