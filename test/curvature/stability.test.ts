import { expect, test } from "vitest";
import { hessianEigenvalues } from "../../lib/curvature/index.js";
import { AdamW, Sgd, stabilityThreshold } from "../../lib/optimizers/index.js";

import { denseCurvature, dot, numbers } from "./dense.js";
import { type Small, smallMlp } from "./small-models.js";

/** A quadratic: a linear network with the mean squared error. */
const quadratic = () =>
  smallMlp("float64", { model_type: "mlp", layer_sizes: [4, 3], activation: "relu", loss: "mse" });

/** η at which `stabilityThreshold` is this. */
function learningRateFor(threshold: number, gain: number, decay: number): number {
  return 2 / (threshold / gain + decay);
}

/** The norm of the last update over that of the first, of gradient descent by the real optimizer. */
async function descend({ model, batch }: Small, learningRate: number, weightDecay: number): Promise<number> {
  const optimizer = new Sgd(model, { learningRate, weightDecay });
  const norms: number[] = [];
  for (let step = 0; step < 900; step++) {
    const { gradient } = await model.gradient(batch);
    await optimizer.accumulate(gradient);
    gradient.dispose();
    using direction = await optimizer.direction();
    norms.push(await direction.norm());
    await optimizer.step();
  }
  return (norms.at(-1) as number) / (norms[0] as number);
}

test.each([0, 0.3])("gradient descent with decay %d: λmax(H) decides", async (weightDecay) => {
  const [lambda] = (await hessianEigenvalues({ ...(await quadratic()), tolerance: 1e-9 })).eigenvalues;
  const at = async (part: number) => {
    const learningRate = learningRateFor(part * (lambda as number), 1, weightDecay);
    const threshold = stabilityThreshold({ optimizer: "gd", learningRate, weightDecay });
    expect(threshold / (lambda as number)).toBeCloseTo(part, 10);
    return descend(await quadratic(), learningRate, weightDecay);
  };
  expect(await at(1 / 1.01)).toBeGreaterThan(1e3); // λmax is 1 % above the threshold
  expect(await at(1 / 0.99)).toBeLessThan(1);
});

test.each([
  { beta1: 0.9, weightDecay: 0 },
  { beta1: 0.9, weightDecay: 0.3 },
  { beta1: 0.6, weightDecay: 0.1 },
])(
  "AdamW with its preconditioner frozen, $beta1, decay $weightDecay: λmax(P⁻¹H) decides",
  async (options) => {
    const { beta1, weightDecay } = options;
    const { model, batch } = await quadratic();
    const optimizer = new AdamW(model, { learningRate: 0.01, betas: [beta1, 0.9] });
    await optimizer.accumulate(await model.gradient(batch));
    const preconditioner = await optimizer.preconditioner();
    const found = await hessianEigenvalues({ model, batch, preconditioner, tolerance: 1e-9 });
    const lambda = found.eigenvalues[0] as number;
    const hessian = await denseCurvature(model, batch);
    const p = await numbers(preconditioner);

    /** How far θ is from the minimum at 0 after many steps of m ← β₁m + (1−β₁)Hθ, θ ← θ − η(P⁻¹m + γθ). */
    const recursion = (learningRate: number) => {
      let theta = p.map((_, i) => Math.cos(i));
      const m = new Float64Array(p.length);
      for (let step = 0; step < 8000; step++) {
        for (const [i, column] of hessian.entries())
          m[i] = beta1 * (m[i] as number) + (1 - beta1) * dot(column, theta);
        theta = theta.map(
          (x, i) => x - learningRate * ((m[i] as number) / (p[i] as number) + weightDecay * x),
        );
        if (!(dot(theta, theta) < 1e12)) return Infinity;
      }
      return Math.sqrt(dot(theta, theta));
    };
    const at = (part: number) => {
      const learningRate = learningRateFor(part * lambda, (1 + beta1) / (1 - beta1), weightDecay);
      const threshold = stabilityThreshold({ optimizer: "adamw", learningRate, weightDecay, beta1 });
      expect(threshold / lambda).toBeCloseTo(part, 10);
      return recursion(learningRate);
    };
    expect(at(1 / 1.01)).toBe(Infinity);
    expect(at(1 / 0.99)).toBeLessThan(10);
  },
);
