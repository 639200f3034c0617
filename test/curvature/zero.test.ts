import { describe, expect, test } from "vitest";
import {
  directionalSharpness,
  hessianEigenvalues,
  hessianTrace,
  type SpectralDensity,
  spectralDensity,
} from "../../lib/curvature/index.js";
import { Batch, createModel } from "../../lib/models/index.js";
import { Sgd } from "../../lib/optimizers/index.js";

import { directionOf } from "./dense.js";

const dtypes = ["float64", "float32"] as const;
type Dtype = (typeof dtypes)[number];
const precision = { float64: 1e-13, float32: 1e-5 };

/** H = 2XᵀX/n of more weights than rows: at least 16 of its 21 eigenvalues are zero. */
async function singular(dtype: Dtype) {
  const [rows, features] = [5, 20];
  const model = await createModel(
    { model_type: "mlp", layer_sizes: [features, 1], activation: "relu", loss: "mse" },
    { dtype },
  );
  const inputs = Float64Array.from({ length: rows * features }, (_, i) => Math.sin(1 + i * i));
  const targets = Float64Array.from({ length: rows }, (_, r) => Math.cos(r));
  return { model, batch: Batch.examples({ inputs, targets, shape: [rows] }) };
}

/** The loss of a classifier of one class is zero everywhere. */
async function nothing(dtype: Dtype) {
  const config = {
    model_type: "mlp",
    layer_sizes: [3, 1],
    activation: "relu",
    loss: "cross_entropy",
  } as const;
  const inputs = Float64Array.from({ length: 12 }, (_, i) => Math.sin(i));
  const batch = Batch.examples({ inputs, targets: Int32Array.from([0, 0, 0, 0]), shape: [4] });
  return { model: await createModel(config, { dtype }), batch };
}

/** Orthogonal columns and as many outputs as make H = 2I/outputs, of 4·outputs weights. */
async function equal(dtype: Dtype, outputs: number) {
  const model = await createModel(
    { model_type: "mlp", layer_sizes: [3, outputs], activation: "relu", loss: "mse" },
    { dtype },
  );
  const inputs = Float64Array.from([1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, 1]);
  const targets = new Float64Array(4 * outputs);
  return { model, batch: Batch.examples({ inputs, targets, shape: [4] }) };
}

function integral({ grid, density }: SpectralDensity): number {
  const areas = grid
    .slice(1)
    .map((x, i) => ((x - (grid[i] as number)) * ((density[i] as number) + (density[i + 1] as number))) / 2);
  return areas.reduce((a, b) => a + b, 0);
}

describe.each(dtypes)("in %s", (dtype) => {
  test.each(["smallest", "both-ends"] as const)("λmin = 0 is found: %s", async (which) => {
    const found = await hessianEigenvalues({ ...(await singular(dtype)), which });
    const { eigenvalues } = await hessianEigenvalues(await singular(dtype));
    const norm = eigenvalues[0] as number;
    expect(found.converged).toBe(true);
    expect(Math.abs(found.eigenvalues.at(-1) as number)).toBeLessThan(1e-3 * norm);
    for (const residual of found.residuals) expect(residual).toBeLessThanOrEqual(1e-3 * norm);
    const tolerance = precision[dtype];
    const sharp = await hessianEigenvalues({ ...(await singular(dtype)), which, tolerance });
    expect(sharp.converged).toBe(true);
    expect(Math.abs(sharp.eigenvalues.at(-1) as number)).toBeLessThan(tolerance * norm);
  });

  test("a start in the null space does not hide the rest", async () => {
    // The inputs never vary along the last feature.
    const { model } = await singular(dtype);
    const inputs = Float64Array.from({ length: 100 }, (_, i) => (i % 20 === 19 ? 0 : Math.sin(i * i)));
    const batch = Batch.examples({ inputs, targets: new Float64Array(5), shape: [5] });
    const [largest] = (await hessianEigenvalues({ model, batch })).eigenvalues as [number];
    const initial = await directionOf(
      model,
      Float64Array.from({ length: 21 }, (_, i) => Number(i === 19)),
    );
    for (const method of ["lanczos", "power"] as const) {
      const found = await hessianEigenvalues({ model, batch, initial, method });
      expect(found.converged).toBe(true);
      expect(Math.abs((found.eigenvalues[0] as number) / largest - 1)).toBeLessThan(2e-3);
    }
  });

  test("a Hessian of zeros has eigenvalues, trace and density", async () => {
    const zero = await nothing(dtype);
    for (const which of ["largest", "smallest", "magnitude", "both-ends"] as const) {
      const found = await hessianEigenvalues({ ...zero, which });
      expect(found).toMatchObject({ converged: true, eigenvalues: which === "both-ends" ? [0, 0] : [0] });
    }
    expect(await hessianEigenvalues({ ...zero, method: "power" })).toMatchObject({
      converged: true,
      eigenvalues: [0],
    });
    for (const method of ["hutchinson", "hutch++"] as const)
      expect(await hessianTrace({ ...zero, method })).toMatchObject({ trace: 0, standardError: 0 });
    expect(Math.abs(integral(await spectralDensity(zero)) - 1)).toBeLessThan(1e-12);
  });

  test.each([1, 3, 7])(
    "a density whose eigenvalues are all equal integrates to 1, around them: %i outputs",
    async (outputs) => {
      for (const seed of [0, 1, 2])
        for (const points of [2, 3, 256, 2000]) {
          const found = await spectralDensity({ ...(await equal(dtype, outputs)), seed, points });
          expect(Math.abs(integral(found) - 1)).toBeLessThan(1e-9);
          const total = found.nodes.reduce((sum, { weight }) => sum + weight, 0);
          expect(Math.abs(total - 1)).toBeLessThan(precision[dtype]);
          if (points < 256) continue;
          const [first, last] = [found.grid[0], found.grid.at(-1)] as [number, number];
          const exact = 2 / outputs;
          expect(first).toBeLessThan(exact);
          expect(last).toBeGreaterThan(exact);
          expect(last - first).toBeLessThan(0.07 * exact);
          expect(Math.max(...found.density)).toBeGreaterThan(0.9 / (0.01 * exact * Math.sqrt(2 * Math.PI)));
        }
    },
  );

  test("a line without curvature has λdir = 0", async () => {
    // L = (ab − 3)² at a = b = 1 along a = b: L'' = 2(da + db)² + 4(ab − 3)·da·db = 0, ∇L·Δ = 2(ab − 3)(da + db).
    const config = { model_type: "mlp", layer_sizes: [1, 1, 1], activation: "relu", loss: "mse" } as const;
    const model = await createModel(config, { dtype, initialization: "zeros" });
    const batch = Batch.examples({ inputs: Float64Array.of(1), targets: Float64Array.of(3), shape: [1] });
    const along = (x: number) =>
      directionOf(
        model,
        Float64Array.from(model.parameters, ({ name }) => (name.endsWith("weight") ? x : 0)),
      );
    const optimizer = new Sgd(model, { learningRate: 1 });
    await optimizer.accumulate(await along(-1));
    await optimizer.step();
    const found = await directionalSharpness({
      model,
      batch,
      direction: await along(-1),
      criticalLearningRate: 1,
    });
    expect(found).toMatchObject({ directionalSharpness: 0, curvature: 0, slope: 8, anharmonicity: Infinity });
  });
});
