import { beforeAll, describe, expect, test } from "vitest";
import type { Direction, Model } from "../../lib/models/index.js";
import { AdamW, type Optimizer, type OptimizerOptions, Sgd } from "../../lib/optimizers/index.js";
import { badArgument } from "../models/files.js";
import { apart, batchOf, network, values } from "./network.js";

const kinds: Record<string, (model: Model, options: Partial<OptimizerOptions>) => Optimizer> = {
  SGD: (model, options) => new Sgd(model, { learningRate: 0.01, momentum: 0.9, ...options }),
  AdamW: (model, options) => new AdamW(model, { learningRate: 0.01, ...options }),
};

let model: Model;
beforeAll(async () => {
  model = (await network("float64")).model;
});

async function directionOf(optimizer: Optimizer, options?: { weightDecay?: boolean }): Promise<number[]> {
  for (const seed of [1, 2]) await optimizer.accumulate(await model.gradient(batchOf(seed)));
  return values(await optimizer.direction(options));
}

describe.each(Object.entries(kinds))("groups of %s", (_, make) => {
  test("scale Δ by their learning rate over the optimizer's, decay included", async () => {
    const plain = await directionOf(make(model, { weightDecay: 0.2 }));
    const groups = [
      { parameters: ["layers.0.weight"], learningRate: 0.03 },
      { parameters: (p: { name: string }) => p.name === "layers.1.weight", learningRate: 0.002 },
      { parameters: [] },
    ];
    const grouped = await directionOf(make(model, { weightDecay: 0.2, groups }));
    const ratio = plain.map((_, i) => (i < 24 ? 3 : i >= 30 && i < 48 ? 0.2 : 1));
    expect(
      apart(
        grouped,
        plain.map((x, i) => x * (ratio[i] as number)),
      ),
    ).toBeLessThan(1e-15);
    const p = await values((await preconditioner(make(model, { groups }))) as Direction);
    const whole = await preconditioner(make(model, {}));
    const plainP = whole === null ? p.map(() => 1) : await values(whole);
    expect(
      apart(
        p,
        plainP.map((x, i) => x / (ratio[i] as number)),
      ),
    ).toBeLessThan(1e-15);
  });

  test("have a decay of their own", async () => {
    const groups = [
      { parameters: (p: { shape: readonly number[] }) => p.shape.length === 1, weightDecay: 0 },
      { parameters: "layers.1.weight", weightDecay: 0.7, learningRate: 0.02 },
    ];
    const [all, without] = [
      await directionOf(make(model, { weightDecay: 0.2, groups })),
      await directionOf(make(model, { weightDecay: 0.2, groups }), { weightDecay: false }),
    ];
    const theta = await values(model);
    const decay = theta.map((w, i) => (i < 24 ? 0.2 * w : i >= 30 && i < 48 ? 2 * 0.7 * w : 0));
    expect(
      apart(
        all.map((x, i) => x - (without[i] as number)),
        decay,
      ),
    ).toBeLessThan(1e-14);
  });

  test("that cannot be used", () => {
    const lists: unknown[] = [
      {},
      "layers.0.weight",
      [null],
      [3],
      [{}],
      [{ parameters: "layers.9.weight" }],
      [{ parameters: [3] }],
      [{ parameters: "layers.0.bias" }, { parameters: ["layers.1.bias", "layers.0.bias"] }],
    ];
    for (const rate of [0, -1, NaN, "1", null])
      lists.push([{ parameters: "layers.0.bias", learningRate: rate }]);
    for (const decay of [-1, NaN, "1", null])
      lists.push([{ parameters: "layers.0.bias", weightDecay: decay }]);
    for (const groups of lists)
      expect(() => make(model, { groups: groups as [] }), JSON.stringify(groups)).toThrow(badArgument);
    const own = [{ parameters: "layers.0.bias", learningRate: 1 }];
    expect(() => make(model, { learningRate: 0, groups: own })).toThrow(badArgument);
    const failing = [
      {
        parameters: () => {
          throw new Error("mine");
        },
      },
    ];
    expect(() => make(model, { groups: failing })).toThrow("mine");
  });
});

async function preconditioner(optimizer: Optimizer): Promise<Direction | null> {
  await directionOf(optimizer);
  return optimizer.preconditioner();
}

test("options that cannot be used", async () => {
  const numbers = (key: string, ...bad: unknown[]) => bad.map((value) => ({ learningRate: 1, [key]: value }));
  const common = [
    undefined,
    null,
    3,
    {},
    ...numbers("learningRate", -1, NaN, Infinity, "1", null),
    ...numbers("weightDecay", -1, NaN, "0", null),
  ];
  const sgd = [
    ...numbers("momentum", -0.1, 1, NaN, "0.9", null),
    ...numbers("nesterov", 1, "true", null),
    { learningRate: 1, nesterov: true },
  ];
  const adamw = [
    ...numbers(
      "betas",
      0.9,
      [],
      [0.9],
      [0.9, 1],
      [-0.1, 0.9],
      [0.9, NaN],
      ["0.9", 0.9],
      [0.9, 0.99, 0.999],
      null,
    ),
    ...numbers("epsilon", -1, NaN, "1", null),
  ];
  for (const options of [...common, ...sgd])
    expect(() => new Sgd(model, options as never), JSON.stringify(options)).toThrow(badArgument);
  for (const options of [...common, ...adamw])
    expect(() => new AdamW(model, options as never), JSON.stringify(options)).toThrow(badArgument);
  for (const wrong of [undefined, null, {}, 3]) {
    expect(() => new Sgd(wrong as never, { learningRate: 1 })).toThrow(badArgument);
    expect(() => new AdamW(wrong as never, { learningRate: 1 })).toThrow(badArgument);
  }
});

test("arguments that cannot be used", async () => {
  const optimizer = new AdamW(model, { learningRate: 1 });
  const { model: other, batch } = await network("float32");
  const foreign = await other.gradient(batch);
  await expect(optimizer.accumulate(foreign)).rejects.toMatchObject({ code: "ERR_MODEL_MISMATCH" });
  for (const gradient of [undefined, null, {}, 3, { gradient: 3 }, model])
    await expect(optimizer.accumulate(gradient as never)).rejects.toEqual(badArgument);
  expect(optimizer.steps).toBe(0);
  const own = await model.gradient(batchOf(1));
  await optimizer.accumulate(own);
  await optimizer.accumulate(own.gradient); // a gradient's result or its direction
  expect(optimizer.steps).toBe(2);
  for (const learningRate of [-1, NaN, Infinity, "1", null])
    await expect(optimizer.step({ learningRate } as never)).rejects.toEqual(badArgument);
  for (const weightDecay of [0, "yes", null])
    await expect(optimizer.direction({ weightDecay } as never)).rejects.toEqual(badArgument);
  expect(model.version).toBe(1);
  optimizer.dispose();
  for (const call of [
    () => optimizer.accumulate(own),
    () => optimizer.direction(),
    () => optimizer.step(),
    () => optimizer.preconditioner(),
  ])
    await expect(call()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
});
