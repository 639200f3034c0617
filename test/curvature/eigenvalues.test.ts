import { describe, expect, test } from "vitest";
import { hessianEigenvalues } from "../../lib/curvature/index.js";
import type { Batch } from "../../lib/models/index.js";

import { goldenVector, type OpenCase, openCase, relative } from "../golden/golden.js";
import { type DenseCase, dense, twofold } from "./golden.js";

const precisions = [
  { dtype: "float64", tolerance: 1e-9, within: 1e-6 },
  { dtype: "float32", tolerance: 1e-4, within: 1e-3 },
] as const;

/** The matrices of a case: options, and where their dense spectrum is. */
async function matrices(open: OpenCase) {
  const batch = open.batches.at(-1) as Batch;
  const { model } = open;
  const preconditioner = await goldenVector(open, "preconditioner");
  return [
    { key: "hessian", options: { model, batch } },
    { key: "preconditioned", options: { model, batch, preconditioner } },
    { key: "gaussNewton", options: { model, batch, operator: "gauss-newton" } },
  ] as const satisfies { key: keyof DenseCase; options: object }[];
}

/** What a Krylov space sees of eigenvalues. */
const distinct = (values: readonly number[]) =>
  values.filter((value, i) => i === 0 || relative(value, values[i - 1] as number) > 1e-9);

for (const { dtype, tolerance, within } of precisions)
  describe(`eigenvalues in ${dtype} are those of PyTorch's dense matrices`, () => {
    for (const [name, spectra] of Object.entries(dense))
      test(name, async () => {
        const open = await openCase(name, dtype);
        for (const { key, options } of await matrices(open)) {
          const golden = spectra[key];
          const largest = twofold(name) ? distinct(golden.largest).slice(0, 2) : golden.largest;
          const found = await hessianEigenvalues({ ...options, count: largest.length, tolerance });
          expect(found.converged).toBe(true);
          for (const [i, value] of largest.entries())
            expect(relative(found.eigenvalues[i] as number, value), `${key} ${i}`).toBeLessThan(within);
        }
      });
  });

describe("which eigenvalues", () => {
  test("the smallest, both ends, the largest in magnitude", async () => {
    const { model, batches } = await openCase("mlp-deep-tanh-mse", "float64");
    const batch = batches.at(-1) as Batch;
    const { largest, smallest } = (dense["mlp-deep-tanh-mse"] as DenseCase).hessian;
    const find = async (which: "smallest" | "both-ends" | "magnitude", count: number) =>
      (await hessianEigenvalues({ model, batch, which, count, tolerance: 1e-9, maximumIterations: 500 }))
        .eigenvalues;
    const near = (found: number[], golden: number[]) => {
      expect(found.length).toBe(golden.length);
      for (const [i, value] of golden.entries())
        expect(relative(found[i] as number, value)).toBeLessThan(1e-6);
    };
    near(await find("smallest", 3), smallest);
    near(await find("both-ends", 2), [...largest.slice(0, 2), ...smallest.slice(-2)]);
    const all = [...largest, ...smallest].sort((a, b) => Math.abs(b) - Math.abs(a));
    near(await find("magnitude", 2), all.slice(0, 2));
  });

  test("the power method finds the same largest one in magnitude", async () => {
    const open = await openCase("mlp-wide-gelu-cross-entropy", "float64");
    const batch = open.batches.at(-1) as Batch;
    const preconditioner = await goldenVector(open, "preconditioner");
    for (const options of [{}, { preconditioner }]) {
      const common = { model: open.model, batch, ...options };
      const power = await hessianEigenvalues({ ...common, method: "power", tolerance: 1e-4 });
      const lanczos = await hessianEigenvalues({ ...common, which: "magnitude", tolerance: 1e-6 });
      expect(power.converged).toBe(true);
      expect(relative(power.eigenvalues[0] as number, lanczos.eigenvalues[0] as number)).toBeLessThan(1e-5);
      expect(lanczos.iterations).toBeLessThan(power.iterations);
    }
  });
});

describe("restarts", () => {
  test("a small basis finds the same eigenvalues in more products", async () => {
    const { model, batches } = await openCase("gpt2-tied", "float64");
    const batch = batches.at(-1) as Batch;
    const wide = await hessianEigenvalues({ model, batch, count: 3, tolerance: 1e-8 });
    const narrow = await hessianEigenvalues({
      model,
      batch,
      count: 3,
      tolerance: 1e-8,
      basisSize: 9,
      maximumIterations: 500,
    });
    expect(narrow.converged).toBe(true);
    expect(narrow.iterations).toBeGreaterThan(9);
    for (const [i, value] of wide.eigenvalues.entries())
      expect(relative(narrow.eigenvalues[i] as number, value)).toBeLessThan(1e-10);
  });

  test("a space that is spanned completely gives every eigenvalue, with its multiplicity", async () => {
    const { model, batches } = await openCase("mlp-linear-mse", "float64");
    const batch = batches.at(-1) as Batch;
    const { largest, smallest, trace } = (dense["mlp-linear-mse"] as DenseCase).hessian;
    const count = model.parameterCount;
    const all = await hessianEigenvalues({ model, batch, count, basisSize: count + 2, tolerance: 1e-9 });
    expect(all.converged).toBe(true);
    expect(all.iterations).toBe(count);
    for (const [i, value] of largest.entries())
      expect(relative(all.eigenvalues[i] as number, value)).toBeLessThan(1e-9);
    for (const [i, value] of smallest.entries())
      expect(relative(all.eigenvalues[count - 3 + i] as number, value)).toBeLessThan(1e-9);
    expect(
      relative(
        all.eigenvalues.reduce((a, b) => a + b),
        trace,
      ),
    ).toBeLessThan(1e-12);
  });
});
