import path from "node:path";
import { describe, expect, test } from "vitest";
import { Batch, Direction, type Model } from "../../lib/models/index.js";
import { type Optimizer, Sgd } from "../../lib/optimizers/index.js";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { temporaryFolder } from "../data/helpers.js";
import { batchOf, network, registered, values } from "./network.js";

const kinds: Record<string, (model: Model) => Optimizer> = {
  SGD: (model) => new Sgd(model, { learningRate: 0.01, weightDecay: 0.1 }),
  Nesterov: (model) => new Sgd(model, { learningRate: 0.01, momentum: 0.9, nesterov: true }),
  ...registered,
};
const folder = temporaryFolder();
/** The code of what a promise is rejected with. */
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "none",
    (error: { code?: string }) => error.code,
  );

describe.each(Object.entries(kinds))("%s without a Δ or a gradient that is held", (_, make) => {
  test("measures the same, to the bit, as with both", async () => {
    const { model, batch } = await network();
    const [kept, lean] = [make(model), make(model)];
    for (const seed of [1, 2, 3]) {
      await kept.accumulate(await model.gradient(batchOf(seed)));
      await lean.accumulateFrom(batchOf(seed));
    }
    const gradient = await model.gradient(batch);
    await kept.accumulate(gradient);
    const known = await lean.accumulateFrom(batch);
    const [stored, made] = [await kept.direction(), await lean.direction({ stored: false })];
    expect([stored.stored, made.stored, made.byteLength]).toEqual([true, false, 0]);
    expect(known).toMatchObject({ loss: gradient.loss, version: 1, batch });
    expect(known.slope).toBe(await gradient.gradient.dot(stored));
    expect(known.norm).toBeCloseTo(await gradient.gradient.norm(), 12);
    const first = await criticalSharpness({ model, batch, direction: stored, gradient });
    const { slope, loss: baseLoss } = known;
    expect(await criticalSharpness({ model, batch, direction: made, slope, baseLoss })).toEqual(first);
    const part = "layers.0.weight";
    expect(await values(await made.mask(part).store())).toEqual(await values(stored.mask(part)));
    const file = path.join(folder, "direction.safetensors");
    await made.save(file);
    expect(await values(await Direction.load(file, model))).toEqual(await values(stored));
  });

  test("is out of date once the state or the weights move on", async () => {
    const { model, batch } = await network();
    const optimizer = make(model);
    await optimizer.accumulateFrom(batch);
    const direction = await optimizer.direction({ stored: false });
    const kept = await direction.store();
    await optimizer.accumulateFrom(batch);
    const perturbation = { direction, learningRate: 0.1 };
    expect(await code(model.loss(batch, { perturbation }))).toBe("ERR_STALE_DIRECTION");
    expect(await code(direction.norm())).toBe("ERR_STALE_DIRECTION");
    expect(await kept.norm()).toBeGreaterThan(0);
    const again = await optimizer.direction({ stored: false });
    await optimizer.step();
    expect(await code(again.dot(kept))).toBe("ERR_STALE_DIRECTION");
  });

  test("says where only a stored Δ will do", async () => {
    const { model, batch } = await network();
    const optimizer = make(model);
    await optimizer.accumulateFrom(batch);
    const direction = await optimizer.direction({ stored: false });
    const inPlace = { direction, learningRate: 0.1, mode: "in-place" } as const;
    for (const attempt of [
      direction.scale(2),
      direction.multiply(direction),
      Direction.combine([direction], [1]),
      optimizer.accumulate(direction),
      model.loss(batch, { perturbation: inPlace }),
    ])
      expect(await code(attempt)).toBe("ERR_DIRECTION_NOT_STORED");
  });

  test("a batch whose loss is not finite, or an abort before anything is done, leaves the state as it was", async () => {
    const { model, batch } = await network();
    const optimizer = make(model);
    await optimizer.accumulateFrom(batch);
    const before = await values(await optimizer.direction());
    const huge = Batch.examples({
      inputs: new Float64Array(20).fill(Number.MAX_VALUE),
      targets: new Float64Array(15),
      shape: [5],
    });
    expect(await code(optimizer.accumulateFrom(huge))).toBe("ERR_NON_FINITE_LOSS");
    const signal = AbortSignal.abort();
    expect(await code(optimizer.accumulateFrom(batch, { signal }))).toBe("ABORT_ERR");
    expect([optimizer.steps, await values(await optimizer.direction())]).toEqual([1, before]);
  });
});
