import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Curvature } from "../../../lib/models/index.js";
import { setThreads } from "../../../lib/torch/index.js";
import { oraclePython } from "../../oracle.js";
import { distance, one, opened, programs, sines } from "./fixtures.js";

/** Eager mode adds a parameter's gradients up in another order where several nodes read it: Llama's norms, and the mixtures. */
const reordered = ["llama", "qwen3", "mixtral"];

// With PyTorch on the same machine, of one thread: the same bits.
describe.skipIf(!oraclePython)("programs beside PyTorch", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-programs-"));
  beforeAll(async () => {
    await setThreads(1);
    execFileSync(oraclePython as string, [path.join(import.meta.dirname, "export.py")], {
      env: { ...process.env, PROGRAMS: folder, CUDA_VISIBLE_DEVICES: "" },
      stdio: ["ignore", "ignore", "pipe"],
    });
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(programs)("%s: loss, gradient and product", async (name) => {
    const { model, batch, numbers } = await opened(name, {}, folder);
    const { loss, gradient } = await model.gradient(batch);
    // The mean of rows, and the quotient, are computed in float64 here.
    const exact = !["rows", "sum-and-weight"].includes(name);
    if (exact) expect(loss).toBe(one(numbers, "loss"));
    const found = await distance(model, gradient, (parameter) => numbers.get(`gradient.${parameter}`));
    expect(found.relative).toBeLessThan(2e-7);
    if (exact && !reordered.includes(name)) expect(found.same).toBe(true);
    if ([...numbers.keys()].some((key) => key.startsWith("product."))) {
      using vector = sines(model);
      using curvature = new Curvature(model, batch);
      using product = (await curvature.product(vector)).product;
      const products = await distance(model, product, (parameter) => numbers.get(`product.${parameter}`));
      expect(products.relative).toBeLessThan(2e-7);
    }
    for (const owned of [gradient, batch, model]) owned.dispose();
  });
});
