import { describe, expect, it } from "vitest";
import { AdamW, Batch, createModel, Direction } from "../../lib/index.js";

const config = { model_type: "mlp", layer_sizes: [4, 8, 3], activation: "gelu", loss: "mse" } as const;
const batch = Batch.examples({
  inputs: Float32Array.from({ length: 80 }, (_, i) => Math.sin(i)),
  targets: Float32Array.from({ length: 60 }, (_, i) => Math.cos(i)),
  shape: [20],
});

describe("weights that are copied", () => {
  it("come back bit for bit after steps of an optimizer", async () => {
    using model = await createModel(config, { seed: 1 });
    const before = await model.digest();
    using saved = await model.copyWeights();
    using optimizer = new AdamW(model, { learningRate: 0.1 });
    for (let step = 0; step < 5; step++) {
      await optimizer.accumulateFrom(batch);
      await optimizer.step();
    }
    expect(await model.digest()).not.toBe(before);
    const { version } = model;
    await model.restoreWeights(saved);
    expect(await model.digest()).toBe(before);
    expect(model.version).toBe(version + 1);
  });

  it("are those that are not frozen, and no others are restored", async () => {
    using model = await createModel(config, { seed: 1 });
    const [first] = model.parameters;
    using all = await model.copyWeights();
    using zeros = await all.scale(0);
    await model.restoreWeights(zeros.mask(first?.name as string));
    using after = await model.copyWeights();
    expect(await after.mask(first?.name as string).norm()).toBe(0);
    using rest = await Direction.combine([all, after], [1, -1]);
    expect(await rest.norm()).toBeCloseTo(await all.mask(first?.name as string).norm(), 12);
  });

  it("are refused by a model that they do not fit, and what is no vector by name", async () => {
    using model = await createModel(config, { seed: 1 });
    using other = await createModel({ ...config, layer_sizes: [4, 9, 3] }, { seed: 1 });
    using saved = await other.copyWeights();
    const before = await model.digest();
    await expect(model.restoreWeights(saved)).rejects.toMatchObject({ code: "ERR_MODEL_MISMATCH" });
    await expect(model.restoreWeights({} as never)).rejects.toThrow("Expected a Direction for weights");
    await expect(model.restoreWeights(saved, { signal: AbortSignal.abort() })).rejects.toThrow();
    expect(await model.digest()).toBe(before);
  });
});
