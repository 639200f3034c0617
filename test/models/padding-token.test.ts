import { beforeAll, describe, expect, test } from "vitest";
import {
  AdamW,
  Batch,
  Curvature,
  createModel,
  Direction,
  type Model,
  type ModelConfigInput,
  Sgd,
} from "../../lib/index.js";

const padding = 3;
const llama = {
  model_type: "llama",
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
} as const;
const batch = Batch.tokens({
  inputIds: [1, 5, 3, 9, 3, 3, 2, 7, 3, 0],
  labels: [5, 3, 9, 3, 4, 3, 7, 3, 0, 3],
  shape: [2, 5],
});
const make = (config: object, options: object = {}) =>
  createModel({ ...llama, ...config } as ModelConfigInput, { dtype: "float64", seed: 1, ...options });

/** A parameter's numbers, row by row. */
async function rowsOf(direction: Direction, name: string): Promise<number[][]> {
  const index = direction.parameters.findIndex((p) => p.name === name);
  const { shape, size } = direction.parameters[index] as (typeof direction.parameters)[number];
  const bytes = await direction.handle.read(index, 0, 8 * size);
  const numbers = [...(direction.dtype === "float64" ? new Float64Array(bytes) : new Float32Array(bytes))];
  const width = shape[1] as number;
  return Array.from({ length: shape[0] as number }, (_, row) =>
    numbers.slice(row * width, (row + 1) * width),
  );
}
const embedding = "model.embed_tokens.weight";
const zeros = Array(8).fill(0);

let plain: Model;
let padded: Model;
beforeAll(async () => {
  plain = await make({});
  padded = await make({ pad_token_id: padding });
});

describe("the padding token's embedding", () => {
  test("has no gradient; everything else has that of the loss", async () => {
    const [a, b] = [await plain.gradient(batch), await padded.gradient(batch)];
    expect(b.loss).toBe(a.loss);
    const [all, without] = [await rowsOf(a.gradient, embedding), await rowsOf(b.gradient, embedding)];
    expect(all[padding]).not.toEqual(zeros);
    expect(without).toEqual(all.with(padding, zeros));
    const rest = (d: Direction) => d.mask((p) => p.name !== embedding);
    expect(await rest(b.gradient).norm()).toBe(await rest(a.gradient).norm());
  });

  test.each([
    ["recomputed", {}, { recompute: true }],
    ["in micro-batches", {}, { microBatch: 1 }],
    ["of bfloat16 weights", { dtype: "float32", parameterDtype: "bfloat16" }, {}],
    ["of bfloat16 arithmetic", { dtype: "bfloat16" }, {}],
  ] as const)("has none %s", async (_, options, pass) => {
    const [a, b] = [await make({}, options), await make({ pad_token_id: padding }, options)];
    const all = await rowsOf((await a.gradient(batch, pass)).gradient, embedding);
    const without = await rowsOf((await b.gradient(batch, pass)).gradient, embedding);
    expect(all[padding]).not.toEqual(zeros);
    expect(without).toEqual(all.with(padding, zeros));
  });

  test("has none that an optimizer takes from a batch, so that decay alone moves it", async () => {
    const optimizer = new AdamW(padded, { learningRate: 0.1, weightDecay: 0.5 });
    await optimizer.accumulateFrom(batch);
    const rows = await rowsOf(await optimizer.direction(), embedding);
    const weights = new Float64Array(await padded.handle.read(0, 0, 8 * 88)).slice(
      8 * padding,
      8 * padding + 8,
    );
    expect(rows[padding]).toEqual([...weights].map((w) => 0.5 * w));
    const sgd = new Sgd(padded, { learningRate: 0.1 });
    await sgd.accumulateFrom(batch);
    expect((await rowsOf(await sgd.direction(), embedding))[padding]).toEqual(zeros);
  });

  test("is moved by a step along it, for the loss reads it", async () => {
    const { gradient } = await plain.gradient(batch);
    const perturbation = { direction: gradient, learningRate: 0.1 };
    expect(await padded.loss(batch, { perturbation })).toBe(await plain.loss(batch, { perturbation }));
  });

  test.each([
    ["hessian", false],
    ["hessian", true],
    ["gauss-newton", false],
    ["gauss-newton", true],
  ] as const)("is a constant to the %s, tied: %s", async (operator, tied) => {
    const model = await make({ pad_token_id: padding, tie_word_embeddings: tied });
    const curvature = new Curvature(model, batch, { operator });
    const [u, v] = [await Direction.random(model, { seed: 1 }), await Direction.random(model, { seed: 2 })];
    const [Hu, Hv] = [(await curvature.product(u)).product, (await curvature.product(v)).product];
    expect(Math.abs((await v.dot(Hu)) / (await u.dot(Hv)) - 1)).toBeLessThan(1e-12);
    if (!tied) expect((await rowsOf(Hu, embedding))[padding]).toEqual(zeros);
    // The slope that comes with a product is the gradient's.
    const { gradient } = await model.gradient(batch);
    expect(Math.abs((await curvature.product(u)).slope - (await gradient.dot(u)))).toBeLessThan(1e-13);
  });

  test("keeps the head's part of its gradient where they are tied", async () => {
    const tied = await make({ pad_token_id: padding, tie_word_embeddings: true });
    const whole = await make({ tie_word_embeddings: true });
    const [a, b] = [await whole.gradient(batch), await tied.gradient(batch)];
    const [all, without] = [await rowsOf(a.gradient, embedding), await rowsOf(b.gradient, embedding)];
    expect(without.toSpliced(padding, 1)).toEqual(all.toSpliced(padding, 1));
    expect(without[padding]).not.toEqual(all[padding]);
    expect(without[padding]).not.toEqual(zeros);
  });
});
