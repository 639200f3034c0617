import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hessianEigenvalues } from "../../../lib/curvature/index.js";
import { Curvature } from "../../../lib/models/index.js";
import { criticalSharpness } from "../../../lib/sharpness/index.js";
import { distance, one, opened, programs, sines } from "./fixtures.js";

// What PyTorch computed, on another machine perhaps: bits are compared where both run on one (oracle.test.ts).
describe.each(programs)("the program %s", (name) => {
  let program: Awaited<ReturnType<typeof opened>>;
  beforeAll(async () => {
    program = await opened(name);
  });
  afterAll(() => {
    program.model.dispose();
    program.batch.dispose();
  });
  const gradientOf = (parameter: string) => program.numbers.get(`gradient.${parameter}`);
  const productOf = (parameter: string) => program.numbers.get(`product.${parameter}`);

  it("has PyTorch's loss and gradient", async () => {
    const { model, batch, numbers } = program;
    const tolerance = 1e-6 * Math.max(1, Math.abs(one(numbers, "loss")));
    expect(Math.abs((await model.loss(batch)) - one(numbers, "loss_no_grad"))).toBeLessThan(tolerance);
    const { loss, gradient } = await model.gradient(batch);
    expect(Math.abs(loss - one(numbers, "loss"))).toBeLessThan(tolerance);
    if (numbers.has("loss64"))
      expect(Math.abs(loss - one(numbers, "loss64"))).toBeLessThan(
        name === "autocast" ? 1e-2 : 10 * tolerance,
      );
    expect((await distance(model, gradient, gradientOf)).relative).toBeLessThan(
      name === "autocast" ? 1e-2 : 1e-5,
    );
    gradient.dispose();
  });

  it("has PyTorch's Hessian-vector product", async ({ skip }) => {
    const { model, batch, numbers } = program;
    // In eager mode torch.cond has no second derivative.
    skip(![...numbers.keys()].some((key) => key.startsWith("product.")));
    using vector = sines(model);
    using curvature = new Curvature(model, batch);
    using product = (await curvature.product(vector)).product;
    expect((await distance(model, product, productOf)).relative).toBeLessThan(
      name === "autocast" ? 5e-2 : 1e-4,
    );
  });

  it("gives the same bits in view and in place, and changes nothing", async () => {
    const { model, batch } = program;
    const before = await model.digest();
    const base = await model.loss(batch);
    using direction = (await model.gradient(batch)).gradient;
    const moved = { direction, learningRate: 0.05 };
    const view = await model.loss(batch, { perturbation: moved });
    expect(await model.loss(batch, { perturbation: { ...moved, mode: "in-place" } })).toBe(view);
    expect(view).not.toBe(base);
    await criticalSharpness({ model, batch, direction });
    expect(await model.loss(batch)).toBe(base);
    expect(await model.digest()).toBe(before);
  });
});

describe("a program", () => {
  it.each(["encoder-dropout", "lstm-dropout"])("draws the dropout of %s from a seed", async (name) => {
    const { model, batch, numbers } = await opened(name, { dropoutSeed: 7 });
    const loss = await model.loss(batch);
    expect(Math.abs(loss - one(numbers, "loss_seed_7"))).toBeLessThan(1e-5);
    expect(await model.loss(batch)).toBe(loss);
    model.dispose();
  });

  it.each(["rows", "sum-and-weight"])("adds the micro-batches of %s up", async (name) => {
    const { model, batch } = await opened(name);
    const whole = await model.gradient(batch);
    const parts = await model.gradient(batch, { microBatch: 3 });
    expect(Math.abs(parts.loss - whole.loss)).toBeLessThan(1e-6);
    expect(Math.abs((await model.loss(batch, { microBatch: 3 })) - whole.loss)).toBeLessThan(1e-6);
    using difference = await whole.gradient.scale(1);
    expect(
      Math.abs((await parts.gradient.dot(difference)) / (await whole.gradient.norm()) ** 2 - 1),
    ).toBeLessThan(1e-5);
    model.dispose();
  });

  it("has a largest Hessian eigenvalue", async () => {
    const { model, batch } = await opened("mlp-float64");
    const { eigenvalues, converged } = await hessianEigenvalues({ model, batch });
    expect(converged).toBe(true);
    expect(eigenvalues[0]).toBeGreaterThan(0);
    model.dispose();
  });
});
