import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  Batch,
  type ComputeDtype,
  createModel,
  criticalSharpness,
  Direction,
  type Gradient,
  loadModel,
  type Model,
  relativeCriticalSharpness,
  SharpnessMeter,
  setThreads,
} from "../../lib/index.js";
import { put, temporaryFolder } from "../data/helpers.js";
import { gpt, mlp, pack, type RawTensor, raw } from "../models/files.js";

const tokens = () =>
  Batch.tokens({ inputIds: [1, 5, 3, 9, 0, 2], labels: [5, 3, -100, 0, 2, 10], shape: [3, 2] });
const inputs = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i));
const examples = () => Batch.examples({ inputs, targets: inputs.slice(0, 15), shape: [5] });
const networks = [
  ["gpt2", gpt, tokens],
  ["mlp", mlp, examples],
] as const;

const settings = networks.flatMap(([name, config, batch]) =>
  (["float32", "float64", "bfloat16"] as ComputeDtype[]).flatMap((dtype) =>
    (["view", "in-place"] as const).map((perturbation) => ({ name, config, batch, dtype, perturbation })),
  ),
);

describe.each(settings)(
  "every bit of $name in $dtype stays, $perturbation,",
  ({ config, batch: make, dtype, perturbation }) => {
    let model: Model;
    let batch: Batch;
    let gradient: Gradient;
    let digest: string;
    beforeAll(async () => {
      model = await createModel(config, { seed: 3, dtype });
      batch = make();
      digest = await model.digest();
      gradient = await model.gradient(batch);
    });
    const line = (direction = gradient.gradient) => ({ model, batch, direction, gradient });
    const untouched = async () => expect([await model.digest(), model.version]).toEqual([digest, 1]);

    test("after success", async () => {
      for (const method of ["interpolated", "bisection"] as const)
        for (const microBatch of [undefined, 1]) {
          const result = await criticalSharpness({
            ...line(),
            perturbation,
            method,
            microBatch,
            tolerance: 1e-3,
          });
          expect(result.evaluations.length).toBeGreaterThan(3);
          await untouched();
        }
      await relativeCriticalSharpness({
        model,
        direction: gradient.gradient,
        evaluate: { a: batch },
        perturbation,
      });
      await new SharpnessMeter({ perturbation }).measure(line());
      await untouched();
    });

    test("when the caller's function throws, at every evaluation", async () => {
      const { evaluations } = await criticalSharpness({ ...line(), perturbation });
      for (let k = 1; k <= evaluations.length; k++) {
        let seen = 0;
        const onEvaluation = () => {
          if (++seen === k) throw new Error(`mine ${k}`);
        };
        await expect(criticalSharpness({ ...line(), perturbation, onEvaluation })).rejects.toThrow(
          `mine ${k}`,
        );
        await untouched();
      }
    });

    test("when it is aborted, at every evaluation", async () => {
      const { evaluations } = await criticalSharpness({ ...line(), perturbation });
      for (let k = 0; k <= evaluations.length; k++) {
        const controller = new AbortController();
        let seen = 0;
        const onEvaluation = () => {
          if (++seen === k) controller.abort();
        };
        if (k === 0) controller.abort();
        const running = criticalSharpness({
          ...line(),
          perturbation,
          onEvaluation,
          signal: controller.signal,
        });
        await expect(running).rejects.toMatchObject({ name: "AbortError", code: "ABORT_ERR" });
        expect(seen).toBe(k);
        await untouched();
      }
    });

    test("when it is aborted in the middle of a pass", async () => {
      for (let turns = 0; turns < 6; turns++) {
        const controller = new AbortController();
        const { signal } = controller;
        const passes = [
          criticalSharpness({ ...line(), perturbation, microBatch: 1, signal, tolerance: 1e-6 }),
          model.loss(batch, {
            signal,
            microBatch: 1,
            perturbation: { direction: gradient.gradient, learningRate: 1, mode: perturbation },
          }),
          model.gradient(batch, { signal, microBatch: 1 }),
        ];
        for (let i = 0; i < turns; i++) await new Promise(setImmediate);
        controller.abort();
        for (const outcome of await Promise.allSettled(passes))
          if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "ABORT_ERR" });
        await untouched();
      }
    });

    test("where the loss is no number", async () => {
      using huge = await gradient.gradient.scale(dtype === "float64" ? 1e306 : 1e36);
      const result = await criticalSharpness({ ...line(huge), perturbation, initialLearningRate: 1e5 });
      expect(result.evaluations.some(({ loss }) => Number.isNaN(loss))).toBe(true);
      await untouched();
      const blind = { model, batch, direction: huge, perturbation, initialLearningRate: 1e5 };
      await criticalSharpness(blind);
      await untouched();
    });
  },
);

describe("weights and directions of any bits", () => {
  const folder = temporaryFolder();
  put(
    folder,
    "config.json",
    JSON.stringify({ model_type: "mlp", layer_sizes: [4, 3], activation: "relu", loss: "mse" }),
  );
  // Mostly patterns at the edges: zeros of both signs, subnormal, largest, infinite, NaN with and without payload.
  const edges32 = [
    0, 0x80000000, 1, 0x807fffff, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffc12345,
  ];
  const words = (least: number) =>
    fc.array(fc.oneof(fc.nat(0xffffffff), fc.constantFrom(...edges32)), {
      minLength: least,
      maxLength: least,
    });
  const file = (name: string, dtype: "F32" | "F64", list: number[]) => {
    const bits = Uint32Array.from(list);
    const width = dtype === "F32" ? 1 : 2;
    const tensors: Record<string, RawTensor> = {
      "layers.0.weight": raw(dtype, [3, 4], bits.slice(0, 12 * width)),
      "layers.0.bias": raw(dtype, [3], bits.slice(12 * width, 15 * width)),
    };
    return put(folder, name, pack(tensors));
  };
  const batch = Batch.examples({ inputs: inputs.slice(0, 8), targets: inputs.slice(0, 6), shape: [2] });

  test.each([
    ["float32", "F32"],
    ["float64", "F64"],
  ] as const)("come out of a pass as they went in, %s", async (dtype, stored) => {
    const rates = fc.constantFrom(1, -1, 1e-3, 1e-30, 1e30, 1e-45, 3e38);
    const property = fc.asyncProperty(words(30), words(30), rates, async (weights, delta, learningRate) => {
      file("model.safetensors", stored, weights);
      using model = await loadModel(folder, { dtype });
      using direction = await Direction.load(file("delta.safetensors", stored, delta), model);
      const digest = await model.digest();
      const losses = await Promise.all(
        (["view", "in-place"] as const).map((mode) =>
          model.loss(batch, { perturbation: { direction, learningRate, mode } }),
        ),
      );
      expect(losses[1]).toBe(losses[0]);
      expect(await model.digest()).toBe(digest);
    });
    await fc.assert(property, { numRuns: 300 });
  });
});

test("every bit of a larger network stays, on two threads", async () => {
  await setThreads(2);
  const model = await createModel({ ...mlp, layer_sizes: [128, 400, 300, 2] }, { seed: 1 });
  const other = await createModel({ ...mlp, layer_sizes: [128, 400, 300, 2] }, { seed: 2 });
  const direction = await Direction.between(model, other);
  const features = Float32Array.from({ length: 1280 }, (_, i) => Math.sin(i));
  const batch = Batch.examples({ inputs: features, targets: features.slice(0, 20), shape: [10] });
  const digest = await model.digest();
  for (const learningRate of [1e-8, 1e-3, 1, 1e3]) {
    const loss = (mode: "view" | "in-place") =>
      model.loss(batch, { perturbation: { direction, learningRate, mode } });
    expect(await loss("in-place")).toBe(await loss("view"));
    expect(await model.digest()).toBe(digest);
  }
});
