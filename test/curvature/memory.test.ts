import { expect, it } from "vitest";
import { runProcess } from "../native/support.js";
import { moduleOf } from "../surface/package.js";

it("repeated measurements of the curvature leave no native bytes and no growth of the process", async () => {
  const ended = await runProcess(
    `
    const { Batch, createModel, directionalSharpness, hessianEigenvalues, hessianTrace } = await import("${moduleOf("index")}");
    const { native } = await import("${moduleOf("torch/load")}");
    const model = await createModel({ model_type: "gpt2", vocab_size: 64, n_positions: 32, n_embd: 64, n_layer: 2, n_head: 4 });
    const inputIds = Int32Array.from({ length: 128 }, (_, i) => (i * i) % 64);
    const labels = inputIds.map((_, i) => ((i + 1) * (i + 1)) % 64);
    const batch = Batch.tokens({ inputIds, labels, shape: [4, 32] });
    const { gradient: direction } = await model.gradient(batch);
    async function measure(times) {
      for (let i = 0; i < times; i++) {
        const found = await hessianEigenvalues({ model, batch, basisSize: 6, maximumIterations: 12, tolerance: 1e-9, eigenvectors: true });
        for (const vector of found.eigenvectors) vector.dispose();
        await directionalSharpness({ model, batch, direction });
        await hessianTrace({ model, batch, products: 6, method: "hutch++" });
      }
      gc();
      return { ...native().memory(), rss: process.memoryUsage.rss() };
    }
    const before = await measure(5);
    const after = await measure(15);
    console.log(JSON.stringify({ before, after }));`,
    { flags: ["--expose-gc"] },
  );
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  const { before, after } = JSON.parse(ended.stdout);
  expect([after.handles, after.bytes]).toEqual([before.handles, before.bytes]);
  // A vector of this model is 0.4 MiB; 15 rounds make more than 300 of them.
  expect(after.rss - before.rss).toBeLessThan(8 * 2 ** 20);
});
