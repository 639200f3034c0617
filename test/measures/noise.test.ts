import { beforeAll, describe, expect, test } from "vitest";
import { random } from "../../lib/data/random.js";
import {
  Batch,
  createModel,
  criticalSharpness,
  Direction,
  type Model,
  NoiseMemory,
  relativeCriticalSharpness,
  SharpnessMeter,
} from "../../lib/index.js";
import { FakeBatch, FakeModel, fakeDirection, parabola } from "./fake-model.js";
import { moved, sameModel, tokens } from "./small-language-model.js";

describe("what a memory of noise recalls", () => {
  const here = { dtype: "bfloat16", count: 100, loss: 2, distance: 1 } as const;
  const memory = new NoiseMemory();
  memory.remember(here, 0.01);

  test("σ in the same circumstances, scaled by the loss and the rows", () => {
    expect(memory.recall(here)?.sigma).toBeCloseTo(0.01, 12);
    expect(memory.recall({ ...here, loss: 3 })?.sigma).toBeCloseTo(0.015, 12);
    expect(memory.recall({ ...here, count: 144 })?.sigma).toBeCloseTo(0.01 / 1.2, 12);
  });

  test("nothing in others", () => {
    expect(memory.recall({ ...here, dtype: "float32" })).toBeUndefined();
    expect(memory.recall({ ...here, count: 200 })).toBeUndefined();
    expect(memory.recall({ ...here, loss: 5 })).toBeUndefined();
    expect(memory.recall({ ...here, distance: 4 })).toBeUndefined();
    expect(memory.recall({ ...here, distance: null })).toBeDefined();
  });

  test("the same after its state was written and read", () => {
    const other = new NoiseMemory();
    const state: unknown = JSON.parse(JSON.stringify(memory.state()));
    expect(NoiseMemory.accepts(state)).toBe(true);
    other.restore(state as never);
    expect(other.recall(here)).toEqual(memory.recall(here));
    for (const bad of [
      null,
      {},
      [{}],
      [{ ...here, relative: "1" }],
      [{ ...here, dtype: "int8", relative: 1 }],
    ])
      expect(NoiseMemory.accepts(bad)).toBe(false);
  });
});

test("the noise of a fake model's losses is found, and said of ηc", async () => {
  // As rounding is: uniform errors that have nothing to do with each other, but the same ones for the same η.
  const size = 1e-4;
  const exact = parabola(0.3);
  const error = (eta: number) => size * (random(eta).uniform() - 0.5);
  const rounded = new FakeBatch((eta) => exact.lossAt(eta) + error(eta), exact.slope);
  const result = await criticalSharpness({
    model: new FakeModel().asModel,
    batch: rounded.asBatch,
    direction: fakeDirection(1),
    slope: 2,
    initialLearningRate: 0.1,
  });
  expect(result.status).toBe("converged");
  const expected = (Math.SQRT2 * size) / Math.sqrt(12) / (2 * 0.3);
  expect((result.noise as number) / expected).toBeGreaterThan(0.4);
  expect((result.noise as number) / expected).toBeLessThan(2.5);
});

test("two measurements of a noise are one, of twice the weight", () => {
  const memory = new NoiseMemory();
  const here = { dtype: "float32", count: 10, loss: 1, distance: 1 } as const;
  memory.remember(here, 3);
  expect(memory.recall(here)).toEqual({ sigma: 3, isSettled: false });
  memory.remember(here, 4);
  expect(memory.recall(here)?.sigma).toBeCloseTo(Math.sqrt(12.5), 12);
  expect(memory.recall(here)?.isSettled).toBe(true);
  expect(memory.state()).toHaveLength(1);
});

test("the noise is learnt in the first two measurements, and a meter's state keeps it", async () => {
  const passes = async (meter: SharpnessMeter) => {
    const model = new FakeModel();
    const batch = parabola(0.3).asBatch;
    await meter.measure({ model: model.asModel, batch, direction: fakeDirection(1), slope: 2 });
    return model.passes.length;
  };
  const meter = new SharpnessMeter({ initialLearningRate: 0.1 });
  const counts = [await passes(meter), await passes(meter), await passes(meter)];
  expect(counts[0]).toBeGreaterThan(12);
  expect(counts[1]).toBeGreaterThan(12);
  expect(counts[2]).toBeLessThanOrEqual(4);
  const other = new SharpnessMeter();
  other.restore(meter.state());
  expect(await passes(other)).toBe(await passes(meter));
});

describe("on a language model", () => {
  let exact: Model;
  let bfloat16: Model;
  let float32: Model;

  beforeAll(async () => {
    [exact, float32, bfloat16] = await sameModel(["float64", "float32", "bfloat16"]);
  });

  test("a pass in float32 of a bfloat16 model has the bits of the float32 model", async () => {
    using batch = tokens(1);
    expect(await bfloat16.loss(batch, { dtype: "float32" })).toBe(await float32.loss(batch));
    const own = await bfloat16.gradient(batch, { dtype: "float32" });
    const other = await float32.gradient(batch);
    expect(own.loss).toBe(other.loss);
    expect(await own.gradient.norm()).toBe(await other.gradient.norm());
    expect(await bfloat16.loss(batch)).not.toBe(await float32.loss(batch));
  });

  /** A random Δ with so much of the gradient in it, as a part of its length. */
  async function line(seed: number, share: number) {
    const batch = tokens(100 + seed);
    const { gradient } = await exact.gradient(batch);
    using noise = await Direction.random(exact, { seed });
    const square = await gradient.dot(gradient);
    const along = (share * (await noise.norm())) / Math.sqrt(square) - (await noise.dot(gradient)) / square;
    const direction = await Direction.combine([noise, gradient], [1, along]);
    const truth = await criticalSharpness({ model: exact, batch, direction, gradient, tolerance: 1e-4 });
    expect(truth.status).toBe("converged");
    return { batch, direction, critical: truth.criticalLearningRate };
  }

  async function measure(model: Model, { batch, direction }: Awaited<ReturnType<typeof line>>, options = {}) {
    const own = await moved(direction, model);
    const gradient = await model.gradient(batch);
    return criticalSharpness({ model, batch, direction: own, gradient, ...options });
  }
  const off = (found: number, { critical }: { critical: number }) => Math.abs(Math.log(found / critical));

  test("small slopes: bfloat16 is right or unresolved, and `resolve` answers in float32", async () => {
    const statuses = new Set<string>();
    for (const [seed, share] of [2e-4, 4e-4, 1e-3, 3e-3, 0.1].entries()) {
      const one = await line(seed, share);
      const found = await measure(bfloat16, one);
      statuses.add(found.status);
      if (found.status === "converged")
        expect(off(found.criticalLearningRate, one)).toBeLessThan(Math.log(1.3));
      else expect(found).toMatchObject({ status: "unresolved", reason: "noise", criticalSharpness: NaN });
      const resolved = await measure(bfloat16, one, { resolve: "float32" });
      expect(resolved.status).toBe("converged");
      expect(resolved.dtype).toBe(found.status === "converged" ? "bfloat16" : "float32");
      expect(off(resolved.criticalLearningRate, one)).toBeLessThan(Math.log(1.3));
    }
    expect(statuses).toEqual(new Set(["converged", "unresolved"]));
  });

  test("zero directions and those orthogonal to ∇L: one answer, whatever was given beside them", async () => {
    using batch = tokens(1);
    const gradient = await exact.gradient(batch);
    using zero = await gradient.gradient.scale(0);
    for (const given of [{}, { slope: 0 }, { gradient }]) {
      const result = await criticalSharpness({ model: exact, batch, direction: zero, ...given });
      expect(result).toMatchObject({ status: "unbounded", criticalSharpness: 0 });
    }
    const { one } = await relativeCriticalSharpness({
      model: exact,
      direction: zero,
      evaluate: { one: batch },
    });
    expect(one.status).toBe("unbounded");
  });

  test("Δ that is not finite names its parameter, whatever else was given", async () => {
    using batch = tokens(1);
    const gradient = await exact.gradient(batch);
    const name = exact.parameters[3]?.name as string;
    using large = await gradient.gradient.mask(name).scale(1e300);
    using infinite = await large.scale(1e300);
    using nan = await Direction.combine([infinite, infinite], [1, -1]);
    for (const direction of [infinite, nan])
      for (const given of [{}, { slope: 1 }, { gradient }])
        await expect(criticalSharpness({ model: exact, batch, direction, ...given })).rejects.toMatchObject({
          code: "ERR_NON_FINITE_DIRECTION",
          message: expect.stringContaining(`"${name}"`),
        });
  });

  test("the limit: ηc below all that was tried is unresolved, and says so", async () => {
    const model = await createModel(
      { model_type: "mlp", layer_sizes: [2, 4, 1], activation: "tanh", loss: "mse" },
      { dtype: "float64", seed: 1 },
    );
    using batch = Batch.examples({ inputs: [1, 2, 3, 4], targets: new Float64Array([1, 2]), shape: [2] });
    const gradient = await model.gradient(batch);
    using steep = await gradient.gradient.scale(1e150);
    const result = await criticalSharpness({ model, batch, direction: steep, gradient });
    expect(result).toMatchObject({ status: "unresolved", reason: "limit", criticalLearningRate: NaN });
  });
});
