import { expect, test } from "vitest";
import { criticalSharpness, relativeCriticalSharpness } from "../../lib/sharpness/index.js";
import { FakeBatch, FakeModel, fakeDirection, parabola } from "./fake-model.js";

const direction = fakeDirection(1);

test("a gradient brings slope and base loss along: no pass at η = 0", async () => {
  const model = new FakeModel();
  const batch = parabola(0.4);
  const result = await criticalSharpness({
    model: model.asModel,
    batch: batch.asBatch,
    direction,
    gradient: await model.gradient(batch),
    perturbation: "in-place",
    microBatch: 7,
    initialLearningRate: 0.4,
  });
  expect(Math.abs(result.criticalLearningRate / 0.4 - 1)).toBeLessThan(1 / 16);
  expect(result).toMatchObject({ slope: 2, baseLoss: 1.5, status: "converged", firstCrossing: "probed" });
  expect(result.forwardPasses).toBe(model.passes.length);
  expect(result.forwardPasses).toBe(5 + 12); // twelve of them for the noise
  for (const pass of model.passes) {
    expect(pass.learningRate).toBeGreaterThan(0);
    expect(pass).toMatchObject({ mode: "in-place", microBatch: 7 });
  }
});

test("a bare direction or a number gives the slope only; nothing at all works too", async () => {
  for (const known of [{ slope: 2 }, { gradient: fakeDirection(2) }, {}]) {
    const model = new FakeModel();
    const result = await criticalSharpness({
      model: model.asModel,
      batch: parabola(0.4).asBatch,
      direction,
      ...known,
      tolerance: 1e-3,
      method: "bisection",
    });
    expect(Math.abs(result.criticalLearningRate / 0.4 - 1)).toBeLessThan(1e-3);
    expect(result.slope).toBe("slope" in known || "gradient" in known ? 2 : null);
    expect(model.passes.filter((p) => p.learningRate === 0)).toHaveLength(1);
    expect(result.forwardPasses).toBe(model.passes.length);
  }
});

test("an ascending direction costs no pass", async () => {
  const model = new FakeModel();
  const batch = parabola(0.4);
  const gradient = await model.gradient(batch);
  const result = await criticalSharpness({
    model: model.asModel,
    batch: batch.asBatch,
    direction: fakeDirection(-1),
    gradient,
  });
  expect(result).toMatchObject({ status: "non-descent", criticalSharpness: Infinity, baseLoss: 1.5 });
  expect(model.passes).toHaveLength(0);
});

test("a gradient of another batch or of other weights is refused", async () => {
  const model = new FakeModel();
  const batch = parabola(0.4);
  const line = { model: model.asModel, batch: batch.asBatch, direction };
  const gradient = await model.gradient(parabola(0.4));
  await expect(criticalSharpness({ ...line, gradient })).rejects.toMatchObject({
    code: "ERR_GRADIENT_BATCH",
  });
  const stale = await model.gradient(batch);
  model.version++;
  await expect(criticalSharpness({ ...line, gradient: stale })).rejects.toMatchObject({
    code: "ERR_GRADIENT_VERSION",
  });
  expect(model.passes).toHaveLength(0);
});

test("weights that change during a measurement are an error, at every pass", async () => {
  const batch = parabola(0.4);
  for (let at = 1; at <= 5; at++) {
    const model = new FakeModel();
    model.onPass = (count) => {
      if (count === at) model.version++;
    };
    const run = criticalSharpness({ model: model.asModel, batch: batch.asBatch, direction, slope: 2 });
    await expect(run).rejects.toMatchObject({ code: "ERR_WEIGHTS_CHANGED" });
    expect(model.passes).toHaveLength(at);
  }
});

test("losses and slopes that are not finite", async () => {
  const model = new FakeModel();
  const line = { model: model.asModel, batch: new FakeBatch(() => Number.NaN, 1).asBatch, direction };
  await expect(criticalSharpness(line)).rejects.toMatchObject({ code: "ERR_NON_FINITE_LOSS" });
  await expect(criticalSharpness({ ...line, gradient: fakeDirection(Number.NaN) })).rejects.toMatchObject({
    code: "ERR_NON_FINITE_SLOPE",
  });
});

test("aborting and reporting", async () => {
  const model = new FakeModel();
  const controller = new AbortController();
  const seen: number[] = [];
  const run = criticalSharpness({
    model: model.asModel,
    batch: parabola(0.4).asBatch,
    direction,
    signal: controller.signal,
    onEvaluation: ({ learningRate }) => {
      seen.push(learningRate);
      if (seen.length === 2) controller.abort();
    },
  });
  await expect(run).rejects.toMatchObject({ name: "AbortError" });
  expect(seen).toHaveLength(2);
});

test("relative: each batch against its own loss, with its own slope", async () => {
  const model = new FakeModel();
  const math = parabola(0.02, 5, 2);
  const web = parabola(3, 0.1, 9);
  const seen: string[] = [];
  const results = await relativeCriticalSharpness({
    model: model.asModel,
    direction,
    evaluate: {
      math: math.asBatch,
      web: web.asBatch,
      hurt: parabola(1, -1).asBatch,
      code: parabola(7).asBatch,
    },
    gradients: { math: await model.gradient(math) },
    slopes: { web: 0.1, hurt: -1 },
    tolerance: 1e-3,
    onEvaluation: (_, name) => seen.push(name),
  });
  expect(Object.keys(results)).toEqual(["math", "web", "hurt", "code"]);
  expect(Math.abs(results.math.criticalSharpness / 100 - 1)).toBeLessThan(2e-3);
  expect(results.math).toMatchObject({ baseLoss: 2, slope: 5 });
  expect(Math.abs(results.web.criticalLearningRate / 3 - 1)).toBeLessThan(1e-3);
  expect(results.web).toMatchObject({ baseLoss: 9, slope: 0.1 });
  expect(results.hurt.status).toBe("non-descent");
  expect(Math.abs(results.code.criticalLearningRate / 7 - 1)).toBeLessThan(1e-3);
  expect([...new Set(seen)]).toEqual(["math", "web", "code"]);
});

const model = new FakeModel().asModel;
const batch = parabola(1).asBatch;
const line = { model, batch, direction };
const type = "ERR_INVALID_ARG_TYPE";
const range = "ERR_OUT_OF_RANGE";

test.each<[string, unknown, string]>([
  ["no options", undefined, type],
  ["a model that is none", { ...line, model: {} }, type],
  ["no batch", { model, direction }, type],
  ["a batch that is none", { ...line, batch: [1, 2] }, type],
  ["no direction", { model, batch }, type],
  ["a direction that is none", { ...line, direction: 1 }, type],
  ["slope and gradient", { ...line, slope: 1, gradient: direction }, type],
  ["a slope that is none", { ...line, slope: "1" }, type],
  ["a slope of NaN", { ...line, slope: Number.NaN }, range],
  ["a gradient that is none", { ...line, gradient: 1 }, type],
  ["a gradient of nothing", { ...line, gradient: { gradient: null } }, type],
  ["a gradient without batch", { ...line, gradient: { gradient: direction } }, type],
  ["tolerance 0", { ...line, tolerance: 0 }, range],
  ["an unknown method", { ...line, method: "newton" }, range],
  ["an unknown perturbation", { ...line, perturbation: "copy" }, range],
  ["half a row", { ...line, microBatch: 0.5 }, range],
  ["a negative start", { ...line, initialLearningRate: -1 }, range],
  ["a signal that is none", { ...line, signal: true }, type],
  ["a callback that is none", { ...line, onEvaluation: true }, type],
  ["an unknown option", { ...line, eta: 1 }, range],
])("misuse: %s", async (_, options, code) => {
  await expect(criticalSharpness(options as never)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/^Expected .+ for .+ but received .+/),
  });
});

test.each<[string, unknown, string]>([
  ["no options", undefined, type],
  ["no batches", { model, direction }, type],
  ["batches in a list", { model, direction, evaluate: [batch] }, type],
  ["a batch that is none", { model, direction, evaluate: { a: 1 } }, type],
  ["a slope of no batch", { model, direction, evaluate: { a: batch }, slopes: { b: 1 } }, range],
  [
    "a gradient of no batch",
    { model, direction, evaluate: { a: batch }, gradients: { b: direction } },
    range,
  ],
  ["a batch option", { model, direction, batch, evaluate: { a: batch } }, range],
])("misuse, relative: %s", async (_, options, code) => {
  await expect(relativeCriticalSharpness(options as never)).rejects.toMatchObject({ code });
});
