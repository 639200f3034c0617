import { describe, expect, test } from "vitest";
import { createModel, type Initialization, type ModelConfigInput } from "../../lib/index.js";
import { badArgument, gpt, mlp, numbers, weights } from "./files.js";

/** Large enough for statistics: the smallest matrix has 4,096 weights. */
const widerGpt = {
  ...gpt,
  vocab_size: 200,
  n_positions: 128,
  n_embd: 64,
  n_layer: 3,
} satisfies ModelConfigInput;
const widerMlp = { ...mlp, layer_sizes: [100, 200, 50] } satisfies ModelConfigInput;

async function drawn(config: ModelConfigInput, initialization?: Initialization) {
  const model = await createModel(config, { seed: 7, initialization, dtype: "float64" });
  const all = new Map<string, number[]>();
  for (const [index, { name, size }] of model.parameters.entries())
    all.set(name, numbers(await model.handle.read(index, 0, 8 * size), "float64"));
  return all;
}

function moments(values: number[]) {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b) / n;
  const central = (power: number) => values.reduce((sum, x) => sum + (x - mean) ** power, 0) / n;
  const deviation = Math.sqrt(central(2));
  return { n, mean, deviation, kurtosis: central(4) / deviation ** 4 };
}

/** Mean, deviation and kurtosis (normal: 3, uniform: 1.8) within five standard errors. */
function expectDrawnFrom(kind: "normal" | "uniform", deviation: number, values: number[]) {
  const found = moments(values);
  const error = 5 / Math.sqrt(found.n);
  expect(Math.abs(found.mean) / deviation).toBeLessThan(error);
  expect(Math.abs(found.deviation / deviation - 1)).toBeLessThan(error);
  expect(Math.abs(found.kurtosis - (kind === "normal" ? 3 : 1.8))).toBeLessThan(5 * error);
  if (kind === "uniform")
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(deviation * Math.sqrt(3));
}

describe("the same seed", () => {
  test("gives the same bits, another one others, whatever the dtype", async () => {
    for (const config of [gpt, mlp]) {
      const digest = async (seed?: number) => (await createModel(config, { seed })).digest();
      expect(await digest(3)).toBe(await digest(3));
      expect(await digest(3)).not.toBe(await digest(4));
      expect(await digest()).toBe(await digest(0));
      const narrow = await createModel(config, { seed: 3, dtype: "bfloat16" });
      expect(await narrow.digest()).toBe(await digest(3));
      const wide = await weights(await createModel(config, { seed: 3, dtype: "float64" }));
      expect(wide).toEqual(await weights(await createModel(config, { seed: 3 })));
    }
  });

  test("means the same whatever was made before, and at the same time", async () => {
    const alone = await (await createModel(gpt, { seed: 9 })).digest();
    const together = await Promise.all(
      [1, 9, 2, 9].map(async (seed) => (await createModel(gpt, { seed })).digest()),
    );
    expect([together[1], together[3]]).toEqual([alone, alone]);
  });
});

describe("initial weights", () => {
  test("of GPT-2: N(0, 0.02²), less into the residual stream; norms 1, biases 0", async () => {
    for (const [name, values] of await drawn({ ...widerGpt, tie_word_embeddings: false }))
      if (name.endsWith(".bias")) expect(new Set(values)).toEqual(new Set([0]));
      else if (/ln_(1|2|f)\.weight$/.test(name)) expect(new Set(values)).toEqual(new Set([1]));
      else expectDrawnFrom("normal", name.includes("c_proj") ? 0.02 / Math.sqrt(2 * 3) : 0.02, values);
  });

  test("of an MLP: PyTorch's U(±1/√in), weights and biases", async () => {
    for (const scheme of [undefined, "pytorch"] as const)
      for (const [name, values] of await drawn(widerMlp, scheme)) {
        const inputs = name.startsWith("layers.0") ? 100 : 200;
        if (name.endsWith("weight")) expectDrawnFrom("uniform", 1 / Math.sqrt(3 * inputs), values);
        else expect(Math.max(...values.map(Math.abs)) * Math.sqrt(inputs)).toBeCloseTo(1, 1);
      }
  });

  test("of an MLP: He's N(0, 2/in), biases 0", async () => {
    for (const [name, values] of await drawn(widerMlp, "he"))
      if (name.endsWith("bias")) expect(new Set(values)).toEqual(new Set([0]));
      else expectDrawnFrom("normal", Math.sqrt(2 / (name.startsWith("layers.0") ? 100 : 200)), values);
  });

  test("may all be 0", async () => {
    for (const config of [gpt, mlp])
      expect(new Set(await weights(await createModel(config, { initialization: "zeros" })))).toEqual(
        new Set([0]),
      );
  });
});

test("a model tells what it is made of", async () => {
  const tied = await createModel(gpt);
  const block = 12 * 8 * 8 + 13 * 8;
  expect(tied.parameterCount).toBe(11 * 8 + 6 * 8 + 2 * block + 2 * 8);
  expect(
    (await createModel({ ...gpt, tie_word_embeddings: false })).parameterCount - tied.parameterCount,
  ).toBe(88);
  expect(tied.parameters[0]).toEqual({
    name: "transformer.wte.weight",
    shape: [11, 8],
    size: 88,
    trainable: true,
  });
  expect([tied.dtype, tied.version, tied.disposed]).toEqual(["float32", 1, false]);
  const perceptron = await createModel(mlp);
  expect(perceptron.parameters.map((p) => [p.name, p.shape])).toEqual([
    ["layers.0.weight", [6, 4]],
    ["layers.0.bias", [6]],
    ["layers.1.weight", [3, 6]],
    ["layers.1.bias", [3]],
  ]);
});

test("options that cannot be used", async () => {
  const wrong: [ModelConfigInput, object | null | number][] = [
    ...[-1, 0.5, NaN, "1", 2 ** 60, null].map((seed): [ModelConfigInput, object] => [gpt, { seed }]),
    ...["float16", "F32", 32, null].map((dtype): [ModelConfigInput, object] => [gpt, { dtype }]),
    ...["gpu", "cpu:0", "cuda:", "cuda:01", "cuda:100", "CUDA", 0, null].map(
      (device): [ModelConfigInput, object] => [gpt, { device }],
    ),
    ...["he", "pytorch", "uniform", 1, null].map((initialization): [ModelConfigInput, object] => [
      gpt,
      { initialization },
    ]),
    [mlp, { initialization: "gpt2" }],
    [mlp, { initialization: "normal" }],
    [gpt, null],
    [gpt, 3],
  ];
  for (const [config, options] of wrong)
    await expect(createModel(config, options as object)).rejects.toEqual(badArgument);
});
