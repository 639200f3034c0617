import { beforeAll, describe, expect, test } from "vitest";
import { goldenVector, lines, names, type OpenCase, openCase, relative } from "./golden.js";

const bounds = { float32: 2e-6, float64: 1e-10 } as const;

describe.each(names)("%s", (name) => {
  describe.each(["float32", "float64"] as const)("in %s", (dtype) => {
    let open: OpenCase;
    beforeAll(async () => {
      open = await openCase(name, dtype);
    });

    test("has PyTorch's loss, whole and in micro-batches", async () => {
      const { model, batches, losses } = open;
      for (const [i, batch] of batches.entries())
        for (const microBatch of [undefined, 1, 2, 3, 1000])
          expect(relative(await model.loss(batch, { microBatch }), losses[i] as number)).toBeLessThan(
            bounds[dtype],
          );
    });

    test("has PyTorch's loss at θ − ηΔ, with the same bits in both forms", async () => {
      for (const { vector, batch, line } of lines(open)) {
        const direction = await goldenVector(open, vector);
        for (const { learningRate, loss } of line.points) {
          const perturbation = { direction, learningRate };
          const view = await open.model.loss(batch, { perturbation: { ...perturbation, mode: "view" } });
          const inPlace = await open.model.loss(batch, {
            perturbation: { ...perturbation, mode: "in-place" },
          });
          expect(relative(view, loss)).toBeLessThan(bounds[dtype]);
          expect(inPlace).toBe(view);
        }
      }
    });
  });
});
