import { afterEach, describe, expect, it } from "vitest";
import { native } from "../../lib/torch/load.js";
import type { NativeDisposable } from "../../lib/torch/surface/handle.js";
import { initialized, optimizerOf, smallBatch, smallModel } from "./support.js";

type AnyHandle = NativeDisposable & Record<string, (...args: unknown[]) => unknown>;
const pass = { microBatch: 0 };
const made: NativeDisposable[] = [];
const keep = <T extends NativeDisposable>(handle: T): T => {
  made.push(handle);
  return handle;
};
afterEach(() => {
  for (const handle of made.splice(0)) handle.dispose();
});

async function everything() {
  const model = keep(await initialized());
  const batch = keep(smallBatch());
  const vector = keep((await model.gradient(batch, pass)).gradient);
  const sgd = keep(optimizerOf(model, "sgd", { momentum: 0.5, nesterov: false }));
  return { model, batch, vector, sgd };
}

describe("handles", () => {
  it("know whether they were disposed of, and may be disposed of twice", async () => {
    for (const handle of Object.values(await everything())) {
      expect(handle.disposed).toBe(false);
      handle.dispose();
      handle.dispose();
      expect(handle.disposed).toBe(true);
    }
  });

  it("work with `using`", () => {
    let seen: NativeDisposable;
    {
      using batch = smallBatch() as ReturnType<typeof smallBatch> & Disposable;
      seen = batch;
      expect(seen.disposed).toBe(false);
    }
    expect(seen.disposed).toBe(true);
  });

  it("say ERR_DISPOSED from every member once disposed of", async () => {
    const { model, batch, vector, sgd } = await everything();
    for (const handle of [model, batch, vector, sgd]) handle.dispose();
    const members: [object, string[]][] = [
      [
        model,
        [
          "parameters",
          "parameterDtype",
          "vectorDtype",
          "computeDtype",
          "version",
          "initialize",
          "load",
          "read",
          "loss",
          "gradient",
        ],
      ],
      [batch, ["kind", "shape", "count"]],
      [vector, ["byteLength", "stored", "store", "dot", "norm", "scale", "mask", "has", "read"]],
      [
        sgd,
        ["steps", "accumulate", "accumulateFrom", "direction", "preconditioner", "step", "state", "restore"],
      ],
    ];
    for (const [handle, names] of members)
      for (const name of names)
        await expect(async () => {
          const member = (handle as AnyHandle)[name];
          if (typeof member === "function") await member.call(handle);
        }, name).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  it("say ERR_DISPOSED where a disposed one is an argument", async () => {
    const { model, batch, vector, sgd } = await everything();
    const other = keep(smallBatch());
    batch.dispose();
    await expect(model.loss(batch, null, pass)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    const spare = keep(await vector.scale(2));
    vector.dispose();
    const perturbation = { direction: vector, learningRate: 1, mode: "view" as const };
    await expect(model.loss(other, perturbation, pass)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    await expect(sgd.accumulate(vector)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    await expect(spare.dot(vector)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
    model.dispose();
    expect(() => optimizerOf(model, "sgd", { momentum: 0, nesterov: false })).toThrow(
      expect.objectContaining({ code: "ERR_DISPOSED" }),
    );
    await sgd.accumulate(spare); // an optimizer keeps its model's weights
  });

  it("may be disposed of while jobs run on them", async () => {
    const { model, batch, vector, sgd } = await everything();
    const expected = await model.loss(batch, null, pass);
    const jobs = [
      model.loss(batch, null, pass),
      model.loss(batch, { direction: vector, learningRate: 0.1, mode: "in-place" }, pass),
      vector.norm(),
      sgd.accumulate(vector),
    ] as const;
    for (const handle of [model, batch, vector, sgd]) handle.dispose();
    const [loss, perturbed, norm] = await Promise.all(jobs);
    expect(loss).toEqual(expected);
    expect(perturbed.loss).toBeLessThan(loss.loss);
    expect(norm).toBeGreaterThan(0);
  });

  it("cannot be made by their constructors", () => {
    const NativeClass = keep(smallBatch()).constructor as new () => object;
    const illegal = expect.objectContaining({
      message: "Illegal constructor",
      code: "ERR_ILLEGAL_CONSTRUCTOR",
    });
    expect(() => new NativeClass()).toThrow(illegal);
    expect(() => new (class extends NativeClass {})()).toThrow(illegal);
  });

  it("tell a wrong `this` from their own", async () => {
    const { model, batch, vector, sgd } = await everything();
    const foreign = [undefined, null, 1, {}, [], () => 1, new Proxy(model, {}), Object.create(model)];
    const wrong = { code: "ERR_INVALID_ARG_TYPE" };
    for (const self of [...foreign, batch, vector, sgd])
      await expect(Promise.resolve(model.initialize.call(self, "zeros", 0))).rejects.toMatchObject(wrong);
    for (const self of [...foreign, model, batch, sgd]) {
      await expect(vector.norm.call(self)).rejects.toMatchObject(wrong);
      expect(() => vector.dispose.call(self)).toThrow(expect.objectContaining(wrong));
    }
    const getter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(model), "version")?.get;
    expect(() => getter?.call({})).toThrow(expect.objectContaining(wrong));
    expect(getter?.call(model)).toBe(1);
  });

  it("of another model are refused by value, not by identity", async () => {
    const { model, vector } = await everything();
    const twin = keep(await initialized());
    const difference = keep(await native().difference(model, twin));
    expect(await difference.norm()).toBe(0);
    expect(await difference.dot(vector)).toBe(0);
    const other = keep(
      native().createModel({ kind: "mlp", layerSizes: [4, 3], activation: "relu", loss: "mse" }, "float32"),
    );
    await expect(native().difference(model, other)).rejects.toMatchObject({ code: "ERR_MODEL_MISMATCH" });
    await expect(native().difference(model, keep(smallModel()))).rejects.toMatchObject({
      code: "ERR_NO_WEIGHTS",
    });
  });
});
