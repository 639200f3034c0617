import { describe, expect, test } from "vitest";
import { directionalSharpness } from "../../lib/curvature/index.js";
import type { Batch, Gradient } from "../../lib/models/index.js";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { goldenVector, openCase, relative } from "../golden/golden.js";
import { type DenseCase, dense } from "./golden.js";

const within = { float64: 1e-8, float32: 1e-4 } as const;

for (const dtype of ["float64", "float32"] as const)
  describe(`directional sharpness in ${dtype} is that of PyTorch's dense Hessian`, () => {
    for (const [name, golden] of Object.entries(dense))
      test(name, async () => {
        const open = await openCase(name, dtype);
        const batch = open.batches.at(-1) as Batch;
        const { model } = open;
        for (const [along, vector] of [
          ["gradient", `gradient.${open.batches.length - 1}`],
          ["adamw", "adamw"],
        ] as const) {
          const direction = await goldenVector(open, vector);
          const exact = await directionalSharpness({ model, batch, direction });
          expect(exact).toMatchObject({ method: "hvp", curvatureError: 0, forwardPasses: 0 });
          expect(relative(exact.directionalSharpness, golden[along].directional)).toBeLessThan(within[dtype]);
          expect(relative(exact.slope, golden[along].slope)).toBeLessThan(within[dtype]);
        }
      });
  });

/**
 * What rounding may do to a second derivative: (L₊ − 2L + L₋)/h² has four losses, each off by 2⁻²⁴ of itself, and the
 * extrapolations together at most double that. Smaller steps end where this outweighs what they gain.
 */
const roundingOfFloat32 = (loss: number, h: number) => (2 * 4 * 2 ** -24 * loss) / h ** 2;

describe("from forward passes alone", () => {
  const smooth = Object.keys(dense).filter((name) => !name.includes("relu"));
  for (const dtype of ["float64", "float32", "bfloat16"] as const)
    test(`central differences in ${dtype} are near, and say how near`, async () => {
      let resolved = 0;
      for (const name of smooth) {
        const open = await openCase(name, dtype);
        const batch = open.batches.at(-1) as Batch;
        const { model } = open;
        const direction = await goldenVector(open, `gradient.${open.batches.length - 1}`);
        const gradient = await model.gradient(batch);
        const { criticalLearningRate } = await criticalSharpness({ model, batch, direction, gradient });
        for (const known of [{ gradient, criticalLearningRate }, { gradient }, {}] as {
          gradient?: Gradient;
          criticalLearningRate?: number;
        }[]) {
          const found = await directionalSharpness({
            ...known,
            model,
            batch,
            direction,
            ...(dtype === "bfloat16" ? {} : { method: "central-difference" }),
          });
          expect(found.method).toBe("central-difference");
          expect(found.forwardPasses).toBeLessThanOrEqual(16);
          const { directional, slope } = (dense[name] as DenseCase).gradient;
          const message = `${name}: ${JSON.stringify(found)}, exactly ${directional}`;
          const error = Math.abs(found.curvature - directional * slope);
          expect(error, message).toBeLessThan(5 * found.curvatureError);
          // Rounded to bfloat16, a line that bends at once cannot be resolved: then the error says so.
          if (dtype === "bfloat16" && found.curvatureError > 0.1 * Math.abs(found.curvature)) continue;
          resolved++;
          const far = relative(found.directionalSharpness, directional);
          const start = Math.min(gradient.loss / slope / 10, known.criticalLearningRate ?? Infinity);
          const finest = start / 2 ** (found.forwardPasses / 2 - 1);
          const float32 = roundingOfFloat32(gradient.loss, finest) / Math.abs(directional * slope);
          expect(far, message).toBeLessThan({ float64: 1e-8, float32, bfloat16: 0.2 }[dtype]);
        }
      }
      expect(resolved).toBeGreaterThanOrEqual(dtype === "bfloat16" ? 8 : 15);
    });

  test("bfloat16 has no exact products, and says what has", async () => {
    const open = await openCase("gpt2-tied", "bfloat16");
    const batch = open.batches.at(-1) as Batch;
    const direction = await goldenVector(open, "adamw");
    const exact = directionalSharpness({ model: open.model, batch, direction, method: "hvp" });
    await expect(exact).rejects.toThrow(/Expected a model that computes in float32 or float64/);
    await expect(exact).rejects.toMatchObject({ code: "ERR_OUT_OF_RANGE" });
  });
});
