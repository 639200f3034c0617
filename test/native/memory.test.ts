import { describe, expect, it } from "vitest";
import { native } from "../../lib/torch/load.js";
import { initialized, loader, optimizerOf, runProcess, smallBatch } from "./support.js";

describe("memory accounts", () => {
  it("return to where they were when all is disposed of", async () => {
    const before = native().memory();
    const model = native().createModel(
      { kind: "mlp", layerSizes: [1024, 4096, 10], activation: "relu", loss: "cross_entropy" },
      "float32",
    );
    expect(native().memory()).toEqual({ handles: before.handles + 1, bytes: before.bytes });
    await model.initialize("he", 3);
    const bytes = 4 * (1024 * 4096 + 4096 + 4096 * 10 + 10);
    expect(native().memory().bytes - before.bytes).toBe(bytes);
    await model.initialize("he", 4); // in place of the first weights
    expect(native().memory().bytes - before.bytes).toBe(bytes);

    const batch = native().createExampleBatch(new Float32Array(1024), [1, 1024], new BigInt64Array(1), [1]);
    expect(native().memory().bytes - before.bytes).toBe(bytes + 4096 + 8);
    const { gradient } = await model.gradient(batch, { microBatch: 0 });
    const adamw = optimizerOf(model, "adamw", { beta1: 0.9, beta2: 0.9, epsilon: 1e-8 });
    await adamw.accumulate(gradient);
    expect(native().memory()).toEqual({
      handles: before.handles + 4,
      bytes: before.bytes + 4 * bytes + 4096 + 8, // weights, gradient, two moments
    });
    const state = await adamw.state();
    const made = [model, batch, gradient, adamw, ...Object.values(state)];
    for (const handle of made) handle.dispose();
    expect(native().memory()).toEqual(before);
  });

  it("do not put down what an object disposed of under its job would have held", async () => {
    const before = native().memory();
    const model = await initialized();
    const again = model.initialize("pytorch", 2);
    model.dispose();
    await again;
    expect(native().memory()).toEqual(before);
  });

  it("do not count cancel tokens, and nothing stays from losses", async () => {
    const model = await initialized();
    const batch = smallBatch();
    const { gradient: direction } = await model.gradient(batch, { microBatch: 0 });
    const before = native().memory();
    for (let i = 0; i < 300; i++)
      await model.loss(
        batch,
        { direction, learningRate: i / 100, mode: i % 2 ? "view" : "in-place" },
        { microBatch: i % 5, cancel: native().createCancelToken() },
      );
    expect(native().memory()).toEqual(before);
    for (const handle of [model, batch, direction]) handle.dispose();
  });

  it("tell the garbage collector how much there is to gain, so that nobody's garbage piles up", async () => {
    const ended = await runProcess(`
      const n = (await import(${JSON.stringify(loader)})).native();
      const inputs = new Float32Array(1 << 18), targets = new BigInt64Array(256);
      let peak = 0;
      for (let i = 0; i < 2000; i++) {
        n.createExampleBatch(inputs, [256, 1024], targets, [256]); // 1 MiB, two GB in all
        peak = Math.max(peak, n.memory().bytes);
        await new Promise(setImmediate);
      }
      console.log(peak);
    `);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(Number(ended.stdout)).toBeLessThan(400 * 2 ** 20);
  });

  it("are settled by the garbage collector for what nobody disposed of", async () => {
    const ended = await runProcess(
      `
      const n = (await import(${JSON.stringify(loader)})).native();
      await (async () => {
        const model = n.createModel({ kind: "mlp", layerSizes: [256, 256], activation: "relu", loss: "mse" }, "float32");
        await model.initialize("he", 0);
        for (let i = 0; i < 50; i++) {
          const batch = n.createExampleBatch(new Float32Array(2560), [10, 256], new Float32Array(2560), [10, 256]);
          const { gradient } = await model.gradient(batch, { microBatch: 4 });
          const vector = await gradient.scale(2);
          n.createOptimizer(model, { learningRateRatio: [1, 1], weightDecay: [0, 0] }, [{ name: "sgd", options: { momentum: 0.9, nesterov: true } }], [0, 0]);
          await vector.read(0, 0, 1000);
        }
        console.log(JSON.stringify(n.memory().handles > 10));
      })();
      for (let i = 0; i < 20 && n.memory().handles > 0; i++) {
        gc();
        await new Promise(setImmediate);
      }
      console.log(JSON.stringify(n.memory()));
      `,
      { flags: ["--expose-gc"] },
    );
    expect(ended).toMatchObject({ code: 0, stderr: "", stdout: 'true\n{"handles":0,"bytes":0}\n' });
  });
});
