import { describe, expect, test } from "vitest";
import { hessianEigenvalues } from "../../lib/curvature/index.js";
import { type Batch, Curvature, Direction, type Model } from "../../lib/models/index.js";

import { native } from "../../lib/torch/load.js";
import { goldenVector, openCase, relative } from "../golden/golden.js";
import { settledMemory } from "../native/support.js";

/** ‖Au − λu‖ by one more product. */
async function residual(
  model: Model,
  batch: Batch,
  value: number,
  u: Direction,
  preconditioner?: Direction,
): Promise<number> {
  const scaling = await preconditioner?.inverseSquareRoot();
  const scaled = scaling ? await scaling.multiply(u) : u;
  using curvature = new Curvature(model, batch);
  const { product } = await curvature.product(scaled);
  const image = scaling ? await scaling.multiply(product) : product;
  return (await Direction.combine([image, u], [1, -value])).norm();
}

describe("residuals", () => {
  for (const dtype of ["float64", "float32"] as const)
    test(`are what a further product says, in ${dtype}, early and late, through restarts`, async () => {
      const open = await openCase("mlp-deep-tanh-mse", dtype);
      const { model } = open;
      const batch = open.batches.at(-1) as Batch;
      const preconditioner = await goldenVector(open, "preconditioner");
      for (const given of [{}, { preconditioner }])
        for (const maximumIterations of [4, 12, 60]) {
          const found = await hessianEigenvalues({
            ...given,
            model,
            batch,
            count: 2,
            which: "both-ends",
            tolerance: 1e-12,
            maximumIterations,
            basisSize: 14,
            eigenvectors: true,
          });
          const scale = Math.max(...found.eigenvalues.map(Math.abs));
          // What is left of the basis' orthogonality and of the vectors' own rounding.
          const noise = (dtype === "float64" ? 1e-14 : 3e-6) * scale;
          for (const [i, u] of found.eigenvectors.entries()) {
            const reported = found.residuals[i] as number;
            const value = found.eigenvalues[i] as number;
            const measured = await residual(model, batch, value, u, given.preconditioner);
            expect(Math.abs(measured - reported)).toBeLessThan(noise + 1e-6 * reported);
            expect(Math.abs((await u.norm()) - 1)).toBeLessThan(1e-6);
          }
        }
    });

  test("too few products are told: not converged, and the residual says by how much", async () => {
    const { model, batches } = await openCase("gpt2-untied", "float32");
    const batch = batches.at(-1) as Batch;
    const short = await hessianEigenvalues({ model, batch, tolerance: 1e-4, maximumIterations: 4 });
    const long = await hessianEigenvalues({ model, batch, tolerance: 1e-4 });
    expect(short).toMatchObject({ converged: false, iterations: 4 });
    expect(long.converged).toBe(true);
    const [value, error] = [short.eigenvalues[0] as number, short.residuals[0] as number];
    expect(error).toBeGreaterThan(1e-4 * value);
    expect(value).toBeLessThanOrEqual(long.eigenvalues[0] as number);
    const few = await hessianEigenvalues({ model, batch, count: 5, maximumIterations: 2 });
    expect(few.converged).toBe(false);
    expect(few.eigenvalues.length).toBe(2);
    const power = await hessianEigenvalues({ model, batch, method: "power", maximumIterations: 2 });
    expect(power).toMatchObject({ converged: false, iterations: 2 });
  });
});

describe("where it starts", () => {
  test("the same seed gives the same bits, another one the same eigenvalue", async () => {
    const { model, batches } = await openCase("gpt2-tied", "float32");
    const batch = batches.at(-1) as Batch;
    const once = await hessianEigenvalues({ model, batch, seed: 7 });
    expect(await hessianEigenvalues({ model, batch, seed: 7 })).toEqual(once);
    const other = await hessianEigenvalues({ model, batch, seed: 8 });
    expect(other.eigenvalues).not.toEqual(once.eigenvalues);
    expect(relative(other.eigenvalues[0] as number, once.eigenvalues[0] as number)).toBeLessThan(1e-3);
  });

  test("at eigenvectors that were found before it takes few products", async () => {
    const open = await openCase("gpt2-tied", "float32");
    const { model } = open;
    const batch = open.batches.at(-1) as Batch;
    const preconditioner = await goldenVector(open, "preconditioner");
    for (const given of [{}, { preconditioner }]) {
      const options = { ...given, model, batch, tolerance: 1e-2 };
      const cold = await hessianEigenvalues({ ...options, eigenvectors: true });
      const warm = await hessianEigenvalues({ ...options, initial: cold.eigenvectors });
      expect(cold.iterations).toBeGreaterThan(3);
      expect(warm).toMatchObject({ converged: true, iterations: 1 });
    }
  });

  test("a direction that is zero is an error", async () => {
    const { model, batches } = await openCase("gpt2-tied", "float32");
    const batch = batches.at(-1) as Batch;
    using gradient = (await model.gradient(batch)).gradient;
    using nothing = gradient.mask([]);
    await expect(hessianEigenvalues({ model, batch, initial: nothing })).rejects.toMatchObject({
      code: "ERR_START_VECTOR",
    });
  });
});

describe("while it runs", () => {
  test("progress is told, an abort ends it, the weights must stay", async () => {
    const { model, batches } = await openCase("gpt2-tied", "float32");
    const batch = batches.at(-1) as Batch;
    const seen: number[] = [];
    const controller = new AbortController();
    const reason = new Error("enough");
    const running = hessianEigenvalues({
      model,
      batch,
      tolerance: 1e-12,
      signal: controller.signal,
      onIteration({ iteration, eigenvalues, residuals }) {
        seen.push(iteration);
        expect([eigenvalues.length, residuals.length]).toEqual([1, 1]);
        if (iteration === 3) controller.abort(reason);
      },
    });
    await expect(running).rejects.toMatchObject({ name: "AbortError", cause: reason });
    expect(seen).toEqual([1, 2, 3]);
    const moved = hessianEigenvalues({
      model,
      batch,
      tolerance: 1e-12,
      onIteration: () => void model.handle.initialize("gpt2", 1),
    });
    await expect(moved).rejects.toMatchObject({ code: "ERR_WEIGHTS_CHANGED" });
  });

  test("nothing is left behind, however it ends", async () => {
    const open = await openCase("gpt2-tied", "float32");
    const { model } = open;
    const batch = open.batches.at(-1) as Batch;
    using preconditioner = await goldenVector(open, "preconditioner");
    const run = (more: object) => hessianEigenvalues({ model, batch, preconditioner, ...more });
    const before = await settledMemory();
    for (const u of (await run({ count: 2, eigenvectors: true })).eigenvectors) u.dispose();
    await run({ method: "power", maximumIterations: 3 });
    await run({ signal: AbortSignal.abort() }).catch(() => undefined);
    await run({ onIteration: () => JSON.parse("no JSON") }).catch(() => undefined);
    expect(native().memory()).toEqual(before);
  });
});
