import { expect, it } from "vitest";
import { runProcess } from "../native/support.js";
import { moduleOf } from "./package.js";

/** A training loop that measures at every step; a leak of one vector a step would be 45 MB in the end. */
const loop = `
  const { AdamW, Batch, SharpnessMeter, createModel } = await import("${moduleOf("index")}");
  const { native } = await import("${moduleOf("torch/load")}");
  const model = await createModel({ model_type: "mlp", layer_sizes: [32, 128, 128, 10], activation: "relu", loss: "mse" });
  const optimizer = new AdamW(model, { learningRate: 1e-4 });
  const meters = ["view", "in-place"].map((perturbation) => new SharpnessMeter({ perturbation }));
  const data = (step) => Batch.examples({
    inputs: Float32Array.from({ length: 256 }, (_, i) => Math.sin(i + step)),
    targets: Float32Array.from({ length: 80 }, (_, i) => Math.cos(i + step)),
    shape: [8],
  });
  let status = {};
  async function steps(count) {
    for (let i = 0; i < count; i++) {
      const batch = data(i);
      const gradient = await model.gradient(batch);
      await optimizer.accumulate(gradient);
      const direction = await optimizer.direction();
      for (const meter of meters) {
        const result = await meter.measure({ model, batch, direction, gradient });
        status[result.status] = (status[result.status] ?? 0) + 1;
      }
      await optimizer.step();
      for (const used of [batch, gradient.gradient, direction]) used.dispose();
    }
    gc();
    const { rss, heapTotal } = process.memoryUsage();
    return { ...native().memory(), resident: rss - heapTotal }; // V8 lets its heap grow when it likes
  }
`;

it("1,000 measurements, half of them in place, leave no native bytes and no growth of the process", async () => {
  const ended = await runProcess(
    `${loop}
    const before = await steps(200);
    status = {};
    const after = await steps(500);
    console.log(JSON.stringify({ before, after, status }));`,
    { flags: ["--expose-gc"] },
  );
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  const { before, after, status } = JSON.parse(ended.stdout);
  expect([after.handles, after.bytes]).toEqual([before.handles, before.bytes]);
  expect(after.resident - before.resident).toBeLessThan(12 * 2 ** 20);
  expect(status.converged).toBeGreaterThan(900);
});
