import { readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Curvature } from "../../../lib/models/index.js";
import { criticalSharpness } from "../../../lib/sharpness/index.js";
import { distance, folder, one, opened, sines } from "./fixtures.js";

/** Programs as other versions of PyTorch write them, each with what that version computed: export.py, PROGRAMS=producers/version. */
const producers = path.join(folder, "producers");
const programs = readdirSync(producers).flatMap((version) =>
  readdirSync(path.join(producers, version))
    .filter((file) => file.endsWith(".pt2"))
    .map((file) => [version, file.slice(0, -".pt2".length)] as const),
);

describe.each(programs)("PyTorch %s's %s", (version, name) => {
  let program: Awaited<ReturnType<typeof opened>>;
  beforeAll(async () => {
    program = await opened(name, {}, path.join(producers, version));
  });
  afterAll(() => {
    program.model.dispose();
    program.batch.dispose();
  });

  it("has that version's loss and gradient", async () => {
    const { model, batch, numbers } = program;
    const tolerance = 1e-6 * Math.max(1, Math.abs(one(numbers, "loss")));
    expect(Math.abs((await model.loss(batch)) - one(numbers, "loss_no_grad"))).toBeLessThan(tolerance);
    const { loss, gradient } = await model.gradient(batch);
    expect(Math.abs(loss - one(numbers, "loss"))).toBeLessThan(tolerance);
    const found = await distance(model, gradient, (parameter) => numbers.get(`gradient.${parameter}`));
    expect(found.relative).toBeLessThan(1e-5);
    gradient.dispose();
  });

  it("has that version's Hessian-vector product", async () => {
    const { model, batch, numbers } = program;
    using vector = sines(model);
    using curvature = new Curvature(model, batch);
    using product = (await curvature.product(vector)).product;
    const found = await distance(model, product, (parameter) => numbers.get(`product.${parameter}`));
    expect(found.relative).toBeLessThan(1e-4);
  });

  it("is measured", async () => {
    const { model, batch } = program;
    using direction = (await model.gradient(batch)).gradient;
    const { status, criticalSharpness: sharpness } = await criticalSharpness({ model, batch, direction });
    expect(status).toBe("converged");
    expect(sharpness).toBeGreaterThan(0);
  });
});
