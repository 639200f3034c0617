import { describe, expect, test } from "vitest";
import { distance, lines, names, openCase, relative } from "./golden.js";

const bounds = { float32: 1e-5, float64: 1e-10 } as const;

describe.each(names)("%s", (name) => {
  test.each(["float32", "float64"] as const)("has PyTorch's gradient, in %s", async (dtype) => {
    const open = await openCase(name, dtype);
    for (const [i, batch] of open.batches.entries())
      for (const microBatch of [undefined, 1, 3]) {
        const { gradient, loss } = await open.model.gradient(batch, { microBatch });
        expect(await distance(open, `gradient.${i}`, gradient)).toBeLessThan(bounds[dtype]);
        expect(loss).toBe(await open.model.loss(batch, { microBatch }));
      }
  });

  test("has PyTorch's slope along both lines", async () => {
    const open = await openCase(name, "float64");
    const last = await open.model.gradient(open.batches.at(-1) as (typeof open.batches)[0]);
    const { gradient } = last;
    expect(relative(await gradient.dot(gradient), lines(open)[0]?.line.slope as number)).toBeLessThan(1e-10);
  });
});
