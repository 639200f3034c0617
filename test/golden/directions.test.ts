import { describe, expect, test } from "vitest";
import type { Direction } from "../../lib/models/index.js";
import { AdamW, type Optimizer, Sgd } from "../../lib/optimizers/index.js";
import {
  adamwDistance,
  distance,
  goldenVector,
  names,
  type OpenCase,
  openCase,
  optimizers,
} from "./golden.js";

const bounds = {
  float32: 1e-5,
  float64: 1e-10,
  // A gradient's entries are sums of some hundred products, each a few operations deep: a thousand roundings at the very most.
  weighted: 1000 * 2 ** -53,
} as const;
const { sgd, adamw } = optimizers;

const kinds: Record<string, (open: OpenCase) => Optimizer> = {
  sgd: ({ model }) => new Sgd(model, { learningRate: 1, weightDecay: sgd.weightDecay }),
  momentum: ({ model }) => new Sgd(model, { learningRate: 1, ...sgd }),
  nesterov: ({ model }) => new Sgd(model, { learningRate: 1, ...sgd, nesterov: true }),
  adamw: ({ model }) => new AdamW(model, { learningRate: 1, ...adamw }),
  "adamw-without-decay": ({ model }) => new AdamW(model, { learningRate: 1, ...adamw, weightDecay: 0 }),
};

/** PyTorch's gradients, so that what is compared is the optimizer alone. */
const golden = (open: OpenCase) =>
  Promise.all(open.batches.map((_, i) => goldenVector(open, `gradient.${i}`)));
const own = (open: OpenCase) =>
  Promise.all(open.batches.map(async (batch) => (await open.model.gradient(batch)).gradient));

async function fed(optimizer: Optimizer, gradients: Promise<Direction[]>): Promise<Optimizer> {
  for (const gradient of await gradients) await optimizer.accumulate(gradient);
  return optimizer;
}

describe.each(names)("%s", (name) => {
  describe.each(["float32", "float64"] as const)("in %s", (dtype) => {
    test.each(Object.keys(kinds))("has PyTorch's Δ of %s", async (kind) => {
      const open = await openCase(name, dtype);
      const optimizer = await fed((kinds[kind] as (typeof kinds)[string])(open), golden(open));
      expect(optimizer.steps).toBe(3);
      expect(await distance(open, kind, await optimizer.direction())).toBeLessThan(bounds[dtype]);
    });

    test("has PyTorch's AdamW preconditioner, and Δ with its decay left out", async () => {
      const open = await openCase(name, dtype);
      const optimizer = await fed(new AdamW(open.model, { learningRate: 1, ...adamw }), golden(open));
      expect(await distance(open, "preconditioner", await optimizer.preconditioner())).toBeLessThan(
        bounds[dtype],
      );
      const plain = await optimizer.direction({ weightDecay: false });
      expect(await distance(open, "adamw-without-decay", plain)).toBeLessThan(bounds[dtype]);
    });
  });

  // In float32 a gradient that is zero but for rounding makes an AdamW Δ of rounding that is as large as any.
  test("has PyTorch's Δ from its own gradients, in float64", async () => {
    const open = await openCase(name, "float64");
    for (const [kind, make] of Object.entries(kinds)) {
      const optimizer = await fed(make(open), own(open));
      const direction = await optimizer.direction();
      if (kind.startsWith("adamw")) {
        const { all, resolved } = await adamwDistance(open, kind, direction);
        expect(resolved).toBeLessThan(bounds.float64);
        expect(all).toBeLessThan(bounds.weighted);
      } else expect(await distance(open, kind, direction)).toBeLessThan(bounds.float64);
    }
  });
});
