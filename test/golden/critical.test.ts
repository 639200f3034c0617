import { beforeAll, describe, expect, test } from "vitest";
import type { Direction } from "../../lib/models/index.js";
import { AdamW } from "../../lib/optimizers/index.js";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { lines, names, type OpenCase, openCase, optimizers, relative } from "./golden.js";

/** What ηc may be off by at ε = 1e-3, and a bound on how wrong a float32 loss is. */
const allowed = 2e-3;
const noise = 2e-7;

/** The gradient of the last batch and both Δ, from this model's own arithmetic alone. */
async function measurable(open: OpenCase) {
  const optimizer = new AdamW(open.model, { learningRate: 1, ...optimizers.adamw });
  let gradient = await open.model.gradient(open.batches[0] as (typeof open.batches)[0]);
  await optimizer.accumulate(gradient);
  for (const batch of open.batches.slice(1)) {
    gradient = await open.model.gradient(batch);
    await optimizer.accumulate(gradient);
  }
  const directions: Record<string, Direction> = {
    gradient: gradient.gradient,
    adamw: await optimizer.direction(),
  };
  return { gradient, directions };
}

describe.each(names)("%s", (name) => {
  describe.each(["float32", "float64"] as const)("in %s", (dtype) => {
    let open: OpenCase;
    let made: Awaited<ReturnType<typeof measurable>>;
    beforeAll(async () => {
      open = await openCase(name, dtype);
      made = await measurable(open);
    });

    test.each(["interpolated", "bisection"] as const)("ηc is that of the dense scan, %s", async (method) => {
      const { model } = open;
      const { gradient, directions } = made;
      for (const { along, batch, line } of lines(open)) {
        const common = { model, batch, direction: directions[along] as Direction, gradient, method };
        for (const tolerance of [1 / 16, 1e-3]) {
          const [view, inPlace] = await Promise.all(
            (["view", "in-place"] as const).map((perturbation) =>
              criticalSharpness({ ...common, tolerance, perturbation }),
            ),
          );
          expect(inPlace).toEqual(view);
          expect(view?.status).toBe("converged");
          const { lower, upper, criticalLearningRate } = view as NonNullable<typeof view>;
          expect(1 - lower / upper).toBeLessThanOrEqual(tolerance);
          const bound = tolerance === 1 / 16 ? tolerance : allowed;
          expect(relative(criticalLearningRate, line.criticalLearningRate)).toBeLessThanOrEqual(bound);
        }
      }
    });

    test("the loss rises steeply enough for float32 to tell", () => {
      for (const { line } of lines(open))
        expect((noise * made.gradient.loss) / line.rise).toBeLessThan(allowed / 10);
    });

    test("the slope is that of PyTorch", async () => {
      for (const { along, line } of lines(open)) {
        const slope = await made.gradient.gradient.dot(made.directions[along] as Direction);
        expect(relative(slope, line.slope)).toBeLessThan(dtype === "float64" ? 1e-10 : 1e-5);
      }
    });
  });
});
