import { describe, expect, test } from "vitest";
import type { Direction, Model } from "../../lib/models/index.js";
import { AdamW, type Optimizer, Sgd } from "../../lib/optimizers/index.js";
import { apart, batchOf, network, values } from "./network.js";

const dtypes = [
  ["float32", 2e-6],
  ["float64", 1e-14],
] as const;

/** A gradient that does not change, taken t times: sums of powers in closed form. */
async function constant(optimizer: Optimizer, gradient: Direction, times: number): Promise<void> {
  for (let t = 0; t < times; t++) await optimizer.accumulate(gradient);
}

async function setting(dtype: "float32" | "float64") {
  const { model, batch } = await network(dtype);
  const { gradient } = await model.gradient(batch);
  return { model, gradient, g: await values(gradient), theta: await values(model) };
}

describe.each(dtypes)("in %s", (dtype, bound) => {
  test.each([1, 2, 7])("SGD: b = g(1 − μᵗ)/(1 − μ) after %i gradients", async (times) => {
    const { model, gradient, g, theta } = await setting(dtype);
    const [momentum, weightDecay] = [0.8, 0.3];
    const b = (1 - momentum ** times) / (1 - momentum);
    const forms = [
      [new Sgd(model, { learningRate: 1 }), 1],
      [new Sgd(model, { learningRate: 1, momentum, weightDecay }), b],
      [new Sgd(model, { learningRate: 1, momentum, nesterov: true, weightDecay }), 1 + momentum * b],
    ] as const;
    for (const [i, [optimizer, factor]] of forms.entries()) {
      await constant(optimizer, gradient, times);
      const plain = g.map((x) => factor * x);
      expect(apart(await values(await optimizer.direction({ weightDecay: false })), plain)).toBeLessThan(
        bound,
      );
      const decayed = plain.map((x, k) => x + (i === 0 ? 0 : weightDecay) * (theta[k] as number));
      expect(apart(await values(await optimizer.direction()), decayed)).toBeLessThan(bound);
      expect(await optimizer.preconditioner()).toBeNull();
    }
  });

  test.each([1, 2, 7])("AdamW: m̂ = g and v̂ = g² after %i gradients", async (times) => {
    const { model, gradient, g, theta } = await setting(dtype);
    const [beta1, epsilon, weightDecay] = [0.8, 1e-3, 0.3];
    const optimizer = new AdamW(model, { learningRate: 1, betas: [beta1, 0.9], epsilon, weightDecay });
    await constant(optimizer, gradient, times);
    const p = g.map((x) => (1 - beta1 ** times) * (Math.abs(x) + epsilon));
    expect(apart(await values(await optimizer.preconditioner()), p)).toBeLessThan(bound);
    const plain = g.map((x) => x / (Math.abs(x) + epsilon));
    expect(apart(await values(await optimizer.direction({ weightDecay: false })), plain)).toBeLessThan(bound);
    const decayed = plain.map((x, k) => x + weightDecay * (theta[k] as number));
    expect(apart(await values(await optimizer.direction()), decayed)).toBeLessThan(bound);
  });

  test("P·Δ is the momentum, whatever the gradients and the groups", async () => {
    const { model } = await network(dtype);
    const groups = [{ parameters: "layers.0.weight", learningRate: 0.5 }];
    const make: [string, (m: Model) => Optimizer][] = [
      ["exp_avg", (m) => new AdamW(m, { learningRate: 0.1, weightDecay: 0, groups })],
      ["exp_avg", (m) => new AdamW(m, { learningRate: 0.1, weightDecay: 0.5 })],
      ["momentum", (m) => new Sgd(m, { learningRate: 0.1, momentum: 0.9, groups })],
      ["momentum", (m) => new Sgd(m, { learningRate: 0.1 })],
    ];
    for (const [role, from] of make) {
      const optimizer = from(model);
      for (let t = 0; t < 4; t++) await optimizer.accumulate(await model.gradient(batchOf(t)));
      const delta = await values(await optimizer.direction({ weightDecay: false }));
      const diagonal = await optimizer.preconditioner();
      const p = diagonal ? await values(diagonal) : delta.map(() => 1);
      const state = (await optimizer.handle.state())[role] as NonNullable<unknown> as Direction["handle"];
      const momentum: number[] = [];
      for (const [i, { size }] of model.parameters.entries()) {
        const bytes = await state.read(i, 0, 8 * size);
        momentum.push(...(dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes)));
      }
      expect(Math.min(...p)).toBeGreaterThan(0);
      expect(
        apart(
          delta.map((x, i) => x * (p[i] as number)),
          momentum,
        ),
      ).toBeLessThan(bound);
    }
  });

  test("where no gradient is, Δ is the decay alone", async () => {
    const shared = { learningRate: 0.1, weightDecay: 0.5 };
    const make: ((m: Model) => Optimizer)[] = [
      (m) => new AdamW(m, shared),
      (m) => new Sgd(m, shared),
      (m) => new Sgd(m, { ...shared, momentum: 0.9 }),
      (m) => new Sgd(m, { ...shared, momentum: 0.9, nesterov: true }),
    ];
    for (const from of make) {
      const { model, gradient, g, theta } = await setting(dtype);
      const optimizer = from(model);
      await constant(optimizer, gradient.mask("layers.0.weight"), 2);
      const plain = await values(await optimizer.direction({ weightDecay: false }));
      expect(plain.slice(0, 24).map(Math.sign)).toEqual(g.slice(0, 24).map(Math.sign));
      expect(plain.slice(24)).toEqual(plain.slice(24).map(() => 0));
      const decayed = await values(await optimizer.direction());
      expect(decayed.slice(24)).toEqual(theta.slice(24).map((w) => 0.5 * w));
      await optimizer.step();
      expect(
        apart(
          (await values(model)).slice(24),
          theta.slice(24).map((w) => 0.95 * w),
        ),
      ).toBeLessThan(bound);
    }
  });
});

test("the defaults are 0.9, 0.999, 1e-8 and a decay of 0.01 for AdamW, and nothing for SGD", async () => {
  const { model, batch } = await network("float64");
  const explicit = { learningRate: 1, betas: [0.9, 0.999] as const, epsilon: 1e-8, weightDecay: 0.01 };
  const pairs = [
    [new AdamW(model, { learningRate: 1 }), new AdamW(model, explicit)],
    [
      new Sgd(model, { learningRate: 1 }),
      new Sgd(model, { learningRate: 1, momentum: 0, nesterov: false, weightDecay: 0 }),
    ],
  ] as const;
  for (const [implicit, other] of pairs) {
    for (const optimizer of [implicit, other]) await optimizer.accumulate(await model.gradient(batch));
    expect(await values(await implicit.direction())).toEqual(await values(await other.direction()));
  }
});
