import { describe, expect, test } from "vitest";
import { directionalSharpness, eigenvectorWeights, hessianEigenvalues } from "../../lib/curvature/index.js";
import { Batch, createModel, type Direction } from "../../lib/models/index.js";
import { AdamW } from "../../lib/optimizers/index.js";
import { criticalSharpness } from "../../lib/sharpness/index.js";
import { relative } from "../golden/golden.js";
import { smallMlp } from "./small-models.js";

/** Every eigenpair, the gradient's share along each, and the directional sharpness that they add up to. */
async function completely(options: { preconditioner?: Direction } = {}) {
  const { model, batch } = await smallMlp();
  const count = model.parameterCount;
  const all = { model, batch, ...options, count, basisSize: count + 2, tolerance: 1e-9, eigenvectors: true };
  const eigen = await hessianEigenvalues(all);
  const gradient = await model.gradient(batch);
  return {
    model,
    batch,
    gradient,
    eigen,
    weights: await eigenvectorWeights({ eigen, gradient, ...options }),
  };
}

describe("directional sharpness is a mean of eigenvalues", () => {
  test("gradient descent: λdir = Σcᵢ²λᵢ/Σcᵢ² ≤ λmax", async () => {
    const { model, batch, gradient, eigen, weights } = await completely();
    const direction = gradient.gradient;
    const { directionalSharpness: found } = await directionalSharpness({ model, batch, direction, gradient });
    expect(Math.abs(weights.remainder)).toBeLessThan(1e-12);
    expect(relative(found, weights.directionalSharpness)).toBeLessThan(1e-10);
    expect(found).toBeLessThan(eigen.eigenvalues[0] as number);
    // The first few are the first few.
    const top = await hessianEigenvalues({ model, batch, count: 2, tolerance: 1e-8, eigenvectors: true });
    const some = await eigenvectorWeights({ eigen: top, gradient });
    for (const i of [0, 1])
      expect(relative(some.weights[i] as number, weights.weights[i] as number)).toBeLessThan(1e-6);
    expect(
      relative(some.remainder, 1 - (some.weights[0] as number) - (some.weights[1] as number)),
    ).toBeLessThan(1e-12);
  });

  test("preconditioned: the same with P^(−½)g and the eigenvectors of P^(−½)HP^(−½)", async () => {
    const { model, batch } = await smallMlp();
    // Without momentum Δ = P⁻¹g.
    const optimizer = new AdamW(model, { learningRate: 0.1, betas: [0, 0.9], epsilon: 1e-3 });
    await optimizer.accumulate(await model.gradient(batch));
    const preconditioner = await optimizer.preconditioner();
    const direction = await optimizer.direction({ weightDecay: false });
    const { eigen, weights } = await completely({ preconditioner });
    const { directionalSharpness: found } = await directionalSharpness({ model, batch, direction });
    expect(Math.abs(weights.remainder)).toBeLessThan(1e-10);
    expect(relative(found, weights.directionalSharpness)).toBeLessThan(1e-9);
    expect(found).toBeLessThan(eigen.eigenvalues[0] as number);
  });

  test("on a quadratic it is the critical sharpness: the anharmonicity is 1", async () => {
    const config = { model_type: "mlp", layer_sizes: [4, 3], activation: "relu", loss: "mse" } as const;
    const model = await createModel(config, { seed: 2, dtype: "float64" });
    const inputs = Float64Array.from({ length: 40 }, (_, i) => Math.sin(i));
    const targets = Float64Array.from({ length: 30 }, (_, i) => Math.cos(i));
    const batch = Batch.examples({ inputs, targets, shape: [10] });
    const gradient = await model.gradient(batch);
    const line = { model, batch, direction: gradient.gradient, gradient };
    const { criticalLearningRate } = await criticalSharpness({ ...line, tolerance: 1e-6 });
    const { anharmonicity } = await directionalSharpness({ ...line, criticalLearningRate });
    expect(Math.abs((anharmonicity as number) - 1)).toBeLessThan(1e-5);
  });
});
