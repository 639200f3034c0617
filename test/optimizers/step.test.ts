import { describe, expect, test } from "vitest";
import type { Model } from "../../lib/models/index.js";
import { AdamW, type Optimizer, Sgd } from "../../lib/optimizers/index.js";
import { batchOf, network, registered, values } from "./network.js";

const groups = [
  { parameters: "layers.0.weight", learningRate: 0.03, weightDecay: 0 },
  { parameters: ["layers.1.bias", "layers.0.bias"], learningRate: 0.001 },
];
const kinds: Record<string, (model: Model) => Optimizer> = {
  SGD: (model) => new Sgd(model, { learningRate: 0.01 }),
  "SGD with decay": (model) => new Sgd(model, { learningRate: 0.01, weightDecay: 0.1, groups }),
  momentum: (model) => new Sgd(model, { learningRate: 0.01, momentum: 0.9, weightDecay: 0.1 }),
  Nesterov: (model) => new Sgd(model, { learningRate: 0.01, momentum: 0.9, nesterov: true, groups }),
  AdamW: (model) => new AdamW(model, { learningRate: 0.01 }),
  "AdamW with groups": (model) => new AdamW(model, { learningRate: 0.01, betas: [0.8, 0.9], groups }),
  ...registered,
  ...Object.fromEntries(
    Object.entries(registered).map(([name, make]) => [
      `${name} in groups`,
      (model) => make(model, { groups }),
    ]),
  ),
};

describe.each(Object.entries(kinds))("%s", (_, make) => {
  describe.each(["float32", "float64"] as const)("in %s", (dtype) => {
    test("moves its state on accumulate, and no weight", async () => {
      const { model, batch } = await network(dtype);
      const optimizer = make(model);
      const digest = await model.digest();
      const seen = new Set<string>();
      for (let t = 1; t <= 3; t++) {
        await optimizer.accumulate(await model.gradient(t === 2 ? batchOf(2) : batch));
        expect(optimizer.steps).toBe(t);
        seen.add((await values(await optimizer.direction())).join());
      }
      expect(seen.size).toBeGreaterThan(1);
      if (optimizer.hasMetric) await optimizer.preconditioner();
      expect([await model.digest(), model.version]).toEqual([digest, 1]);
    });

    test("steps to the bits of θ − ηΔ, which are those of a measurement", async () => {
      const { model, batch } = await network(dtype);
      const optimizer = make(model);
      const round = dtype === "float32" ? Math.fround : (x: number) => x;
      for (const learningRate of [0.01, 0.3, undefined]) {
        await optimizer.accumulate(await model.gradient(batch));
        const direction = await optimizer.direction();
        const eta = learningRate ?? optimizer.learningRate;
        const [theta, delta] = [await values(model), await values(direction)];
        const losses = await Promise.all(
          (["view", "in-place"] as const).map((mode) =>
            model.loss(batch, { perturbation: { direction, learningRate: eta, mode } }),
          ),
        );
        const made = await optimizer.direction({ stored: false });
        losses.push(await model.loss(batch, { perturbation: { direction: made, learningRate: eta } }));
        await optimizer.step({ learningRate });
        const expected = theta.map((w, i) => round(w - round(round(eta) * (delta[i] as number))));
        expect(await values(model)).toEqual(expected);
        const loss = await model.loss(batch);
        expect(losses).toEqual([loss, loss, loss]);
      }
      expect(model.version).toBe(4);
    });

    test("is the same run to the bit, every time", async () => {
      const run = async () => {
        const { model } = await network(dtype);
        const optimizer = make(model);
        for (let t = 0; t < 5; t++) {
          await optimizer.accumulate(await model.gradient(batchOf(t)));
          await optimizer.step();
        }
        return model.digest();
      };
      expect(await run()).toBe(await run());
    });
  });

  test("does nothing with η = 0, and has a learning rate of its own", async () => {
    const { model, batch } = await network();
    const optimizer = make(model);
    await optimizer.accumulate(await model.gradient(batch));
    const digest = await model.digest();
    await optimizer.step({ learningRate: 0 });
    expect(await model.digest()).toBe(digest);
    optimizer.learningRate = 0;
    await optimizer.step();
    expect(await model.digest()).toBe(digest);
  });

  test("has no direction before a gradient", async () => {
    const { model } = await network();
    const optimizer = make(model);
    for (const call of [() => optimizer.direction(), () => optimizer.step()])
      await expect(call()).rejects.toMatchObject({ code: "ERR_NO_GRADIENT" });
    const code = optimizer.hasMetric ? "ERR_NO_GRADIENT" : "ERR_NO_METRIC";
    await expect(optimizer.preconditioner()).rejects.toMatchObject({ code });
    expect([optimizer.steps, model.version]).toEqual([0, 1]);
  });
});
