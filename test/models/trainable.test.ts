// Frozen parameters: constants to gradients, optimizers and Hessians, whose memory is that of the others.
import path from "node:path";
import { describe, expect, test } from "vitest";
import {
  AdamW,
  Batch,
  createModel,
  criticalSharpness,
  hessianTrace,
  loadModel,
  Muon,
} from "../../lib/index.js";
import { native } from "../../lib/torch/index.js";
import { temporaryFolder } from "../data/helpers.js";

const root = temporaryFolder();
const llama = {
  model_type: "llama",
  vocab_size: 40,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  tie_word_embeddings: true,
} as const;
const batch = () =>
  Batch.tokens({
    inputIds: Array.from({ length: 32 }, (_, i) => (i * 7) % 40),
    labels: Array.from({ length: 32 }, (_, i) => (i * 11 + 3) % 40),
    shape: [4, 8],
  });

test("names and globs choose; what is frozen has no gradient and no Δ, and a step leaves it", async () => {
  using whole = await createModel(llama, { seed: 2 });
  using model = await createModel(llama, { seed: 2, trainable: ["*.layers.1.*", "model.norm.weight"] });
  const chosen = model.parameters.filter((p) => p.trainable).map((p) => p.name);
  expect(chosen).toHaveLength(10);
  expect(chosen.every((name) => /layers\.1\.|^model\.norm/.test(name))).toBe(true);
  expect(model.trainableCount).toBe(model.parameters.reduce((n, p) => n + (p.trainable ? p.size : 0), 0));
  using rows = batch();
  for (const options of [{}, { microBatch: 1 }, { recompute: true }]) {
    const { gradient: all } = await whole.gradient(rows, options);
    const { gradient: some } = await model.gradient(rows, options);
    using kept = all.mask(chosen);
    expect(await some.norm()).toBe(await kept.norm());
    for (const [i, p] of model.parameters.entries()) expect(some.handle.has(i)).toBe(p.trainable);
    for (const d of [all, some]) d.dispose();
  }
  const before = await Promise.all(model.parameters.map((_, i) => model.handle.read(i, 0, 1 << 20)));
  using optimizer = new AdamW(model, { learningRate: 0.01, weightDecay: 0.1 });
  await optimizer.accumulateFrom(rows);
  await optimizer.step();
  for (const [i, p] of model.parameters.entries())
    expect(
      Buffer.from(await model.handle.read(i, 0, 1 << 20)).equals(Buffer.from(before[i] as ArrayBuffer)),
    ).toBe(!p.trainable);
});

test("the tied embedding frozen or alone", async () => {
  using rows = batch();
  using whole = await createModel(llama, { seed: 2, dtype: "float64" });
  using gradient = (await whole.gradient(rows)).gradient;
  for (const names of [["model.embed_tokens.weight"], ["*norm*"], ["*mlp*"]]) {
    using model = await createModel(llama, { seed: 2, dtype: "float64", trainable: names });
    using own = (await model.gradient(rows)).gradient;
    using part = gradient.mask(names);
    expect(await own.dot(part)).toBe(await part.dot(part));
  }
});

test("memory of state and Δ is that of what is trainable", async () => {
  const config = {
    ...llama,
    hidden_size: 64,
    intermediate_size: 256,
    num_attention_heads: 4,
    vocab_size: 512,
  };
  const held = async (trainable?: string[]) => {
    using model = await createModel(config, { trainable });
    const weights = native().memory().bytes;
    using rows = batch();
    using optimizer = new AdamW(model, { learningRate: 0.01 });
    using gradient = (await model.gradient(rows)).gradient;
    await optimizer.accumulate(gradient);
    using direction = await optimizer.direction();
    expect(direction.handle.byteLength).toBe(4 * model.trainableCount);
    return (native().memory().bytes - weights) / 4 / model.trainableCount;
  };
  const some = await held(["*.layers.0.*"]);
  expect(some).toBeGreaterThan(3.9);
  expect(some).toBeLessThan(4.1);
  expect(Math.abs(some - (await held()))).toBeLessThan(0.1);
});

test("λc, the Hessian's trace, Muon and saved states are of what is trainable", async () => {
  using rows = batch();
  using whole = await createModel(llama, { seed: 2, dtype: "float64" });
  const names = ["*.layers.2.*"];
  using model = await createModel(llama, { seed: 2, dtype: "float64", trainable: names });
  const own = await model.gradient(rows);
  const all = await whole.gradient(rows);
  using masked = all.gradient.mask(names);
  const a = await criticalSharpness({ model, batch: rows, direction: own.gradient });
  const b = await criticalSharpness({ model: whole, batch: rows, direction: masked });
  expect(a.criticalLearningRate).toBe(b.criticalLearningRate);
  const trace = await hessianTrace({ model, batch: rows, products: 8, seed: 1 });
  expect(Number.isFinite(trace.trace)).toBe(true);
  using optimizer = new Muon(model, { learningRate: 0.01 });
  await optimizer.accumulateFrom(rows);
  const file = path.join(root, "state.safetensors");
  await optimizer.save(file);
  using again = new Muon(model, { learningRate: 0.01 });
  await again.load(file);
  using x = await optimizer.direction();
  using y = await again.direction();
  expect(await x.dot(y)).toBe(await x.dot(x));
  own.gradient.dispose();
  all.gradient.dispose();
});

describe("misuse", () => {
  test.each([[[]], [["nothing"]], [["*.nothing"]], ["all"]])(
    "trainable: %o is an error",
    async (trainable) => {
      await expect(createModel(llama, { trainable: trainable as string[] })).rejects.toThrow("trainable");
    },
  );
  test("loadModel takes it too", async () => {
    using model = await createModel(llama, { seed: 2 });
    await model.save(path.join(root, "model"));
    using loaded = await loadModel(path.join(root, "model"), { trainable: ["model.norm.weight"] });
    expect(loaded.trainableCount).toBe(16);
  });
});
