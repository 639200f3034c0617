import { describe, expect, test } from "vitest";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { goldenVector, lines, names, openCase, relative } from "./golden.js";

/** Each layer (of four at most) rounds its result by up to 2⁻⁹ of itself, and a squared error doubles that. */
const lossBound = 4 * 2 * 2 ** -9;
const criticalBound = 0.04;

describe.each(names)("%s in bfloat16 compute", (name) => {
  test("has PyTorch's loss as far as its digits go, in both forms alike", async () => {
    const open = await openCase(name, "bfloat16");
    for (const [i, batch] of open.batches.entries())
      expect(relative(await open.model.loss(batch), open.losses[i] as number)).toBeLessThan(lossBound);
    for (const { vector, batch, line } of lines(open)) {
      const direction = await goldenVector(open, vector);
      for (const { learningRate, loss } of line.points) {
        const at = (mode: "view" | "in-place") =>
          open.model.loss(batch, { perturbation: { direction, learningRate, mode } });
        const view = await at("view");
        expect(relative(view, loss)).toBeLessThan(lossBound);
        expect(await at("in-place")).toBe(view);
      }
    }
  });

  // Along PyTorch's Δ: AdamW turns what rounding did to a small gradient into a Δ as large as any, which is another line.
  test("has the ηc of the dense scan within 4 %, in both forms alike", async () => {
    const open = await openCase(name, "bfloat16");
    for (const { vector, batch, line } of lines(open)) {
      const gradient = await open.model.gradient(batch);
      const common = { model: open.model, batch, direction: await goldenVector(open, vector), gradient };
      for (const method of ["interpolated", "bisection"] as const) {
        const view = await criticalSharpness({ ...common, method, tolerance: 1e-3 });
        const noise = view.noise as number;
        expect(relative(view.criticalLearningRate, line.criticalLearningRate)).toBeLessThan(
          Math.max(criticalBound, 4 * noise),
        );
        const inPlace = await criticalSharpness({
          ...common,
          method,
          tolerance: 1e-3,
          perturbation: "in-place",
        });
        expect(inPlace).toEqual(view);
      }
    }
  });
});
