import { beforeAll, describe, expect, test } from "vitest";
import { hessianEigenvalues, hessianTrace, spectralDensity } from "../../lib/curvature/index.js";
import { type Eigenpair, symmetricEigenpairs } from "../../lib/curvature/product.js";
import { Direction } from "../../lib/models/index.js";
import { AdamW } from "../../lib/optimizers/index.js";

import { relative } from "../golden/golden.js";
import { denseCurvature, dot, numbers } from "./dense.js";
import { type Small, smallGpt, smallMlp } from "./small-models.js";

const operators = ["hessian", "gauss-newton"] as const;
const networks = { "an MLP": smallMlp, "a GPT-2": smallGpt };

const largest = (columns: readonly Float64Array[]) =>
  columns.reduce((most, column) => column.reduce((m, entry) => Math.max(m, Math.abs(entry)), most), 0);
const eigenpairs = (columns: readonly Float64Array[]) =>
  symmetricEigenpairs(columns.map((c) => Array.from(c)));

function expectTop3(found: readonly number[], dense: readonly Eigenpair[], within: number): void {
  expect(found.length).toBe(3);
  for (const [i, value] of found.entries())
    expect(relative(value, dense[i]?.value as number)).toBeLessThan(within);
}

for (const [what, make] of Object.entries(networks))
  describe(`${what}, against its dense matrices`, () => {
    let small: Small;
    let dense: Record<(typeof operators)[number], Float64Array[]>;
    let pairs: Eigenpair[];

    beforeAll(async () => {
      small = await make();
      const [hessian, gaussNewton] = [
        await denseCurvature(small.model, small.batch, "hessian"),
        await denseCurvature(small.model, small.batch, "gauss-newton"),
      ];
      dense = { hessian, "gauss-newton": gaussNewton };
      pairs = eigenpairs(hessian);
    });

    test.each(operators)("products with unit vectors make a symmetric matrix: %s", async (operator) => {
      const columns = dense[operator];
      const scale = largest(columns);
      let asymmetry = 0;
      for (const [i, column] of columns.entries())
        for (const [j, entry] of column.entries())
          asymmetry = Math.max(asymmetry, Math.abs(entry - (columns[j]?.[i] as number)));
      expect(asymmetry).toBeLessThan(1e-13 * scale);
      if (operator === "gauss-newton")
        expect(eigenpairs(columns).at(-1)?.value as number).toBeGreaterThan(-1e-12 * scale);
      const found = await hessianEigenvalues({ ...small, operator, count: 3, tolerance: 1e-9 });
      expectTop3(found.eigenvalues, eigenpairs(columns), 1e-9);
    });

    test.each([
      { dtype: "float64", tolerance: 1e-9, within: 1e-8 },
      { dtype: "float32", tolerance: 1e-4, within: 1e-3 },
    ] as const)("P^(−½)HP^(−½) with AdamW's own P, in $dtype", async ({ dtype, tolerance, within }) => {
      const preconditioned = async ({ model, batch }: Small) => {
        const optimizer = new AdamW(model, { learningRate: 0.01, epsilon: 1e-3 });
        await optimizer.accumulate(await model.gradient(batch));
        return optimizer.preconditioner();
      };
      const p = await numbers(await preconditioned(small));
      const scaled = dense.hessian.map((column, i) =>
        column.map((entry, j) => entry / Math.sqrt((p[i] as number) * (p[j] as number))),
      );
      const own = await make(dtype);
      const preconditioner = await preconditioned(own);
      const found = await hessianEigenvalues({ ...own, preconditioner, count: 3, tolerance });
      expectTop3(found.eigenvalues, eigenpairs(scaled), within);
    });

    test("the trace is within a few standard errors, Hutch++'s closer", async () => {
      const exact = pairs.reduce((sum, { value }) => sum + value, 0);
      const errors = { hutchinson: 0, "hutch++": 0 };
      for (const method of ["hutchinson", "hutch++"] as const)
        for (const seed of [0, 100, 200, 300]) {
          const found = await hessianTrace({ ...small, method, products: 48, seed });
          expect(found.products).toBe(48);
          expect(Math.abs(found.trace - exact)).toBeLessThan(4 * found.standardError);
          errors[method] += (found.trace - exact) ** 2 / 4;
        }
      expect(errors["hutch++"]).toBeLessThan(errors.hutchinson);
    });

    test("the density's nodes have the moments zᵀHᵏz/zᵀz of its random vectors", async () => {
      const probes = 2;
      const density = await spectralDensity({ ...small, steps: 30, probes, seed: 9, points: 2000 });
      const moments = [0, 0, 0, 0, 0];
      for (let i = 0; i < probes; i++) {
        using probe = await Direction.random(small.model, { seed: 9 + i });
        const z = await numbers(probe);
        let image = z;
        for (const k of moments.keys()) {
          moments[k] = (moments[k] as number) + dot(z, image) / dot(z, z) / probes;
          image = Float64Array.from(dense.hessian, (column) => dot(column, image));
        }
      }
      for (const [k, moment] of moments.entries())
        expect(
          relative(
            density.nodes.reduce((sum, { eigenvalue, weight }) => sum + weight * eigenvalue ** k, 0),
            moment,
          ),
        ).toBeLessThan(1e-10);
      expect(density.products).toBe(30 * probes);
      // Its extreme nodes are the extreme eigenvalues.
      expect(relative(density.nodes.at(-1)?.eigenvalue as number, pairs[0]?.value as number)).toBeLessThan(
        1e-4,
      );
      expect(relative(density.nodes[0]?.eigenvalue as number, pairs.at(-1)?.value as number)).toBeLessThan(
        1e-4,
      );
      const step = (density.grid[1] as number) - (density.grid[0] as number);
      expect(Math.abs(density.density.reduce((a, b) => a + b) * step - 1)).toBeLessThan(5e-3);
    });
  });
