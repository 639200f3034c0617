import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { native } from "../../lib/torch/load.js";
import { initialized, loader, longJob, settledMemory, smallBatch } from "./support.js";

const train = `
  (async () => {
    const { parentPort } = require("node:worker_threads");
    const n = (await import(${JSON.stringify(loader)})).native();
    const model = n.createModel({ kind: "mlp", layerSizes: [4, 8, 3], activation: "gelu", loss: "cross_entropy" }, "float32");
    await model.initialize("pytorch", 1);
    const inputs = Float32Array.from({ length: 20 }, (_, i) => Math.sin(i));
    const batch = n.createExampleBatch(inputs, [5, 4], new BigInt64Array([0n, 1n, 2n, 0n, 1n]), [5]);
    const sgd = n.createOptimizer(model, { learningRateRatio: [1, 1, 1, 1], weightDecay: [0, 0, 0, 0] }, [{ name: "sgd", options: { momentum: 0, nesterov: false } }], [0, 0, 0, 0]);
    for (let i = 0; i < 20; i++) {
      const { gradient } = await model.gradient(batch, { microBatch: 2 });
      await sgd.accumulate(gradient);
      await sgd.step(0.1);
    }
    parentPort.postMessage((await model.loss(batch, null, { microBatch: 0 })).loss);
  })();
`;

const begin = (text: string) => new Worker(text, { eval: true, stdout: true, stderr: true });

/** A worker's first message once it has ended by itself. */
function finished(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    let message: number;
    worker.on("message", (m: number) => {
      message = m;
    });
    worker.on("error", reject);
    worker.on("exit", (code) => (code === 0 ? resolve(message) : reject(new Error(`exit code ${code}`))));
  });
}

async function expectMainWorks(): Promise<void> {
  const model = await initialized();
  const batch = smallBatch();
  expect((await model.loss(batch, null, { microBatch: 0 })).loss).toBeGreaterThan(0);
  model.dispose();
  batch.dispose();
}

describe("worker threads", () => {
  it("load, use and leave the addon, 20 one after the other, with the same results", async () => {
    const losses = new Set<number>();
    for (let i = 0; i < 20; i++) losses.add(await finished(begin(train)));
    expect(losses.size).toBe(1);
    await expectMainWorks();
  });

  it("work at the same time as each other and the main thread", async () => {
    const before = await settledMemory();
    const workers = [1, 2, 3, 4].map(() => finished(begin(train)));
    for (let i = 0; i < 20; i++) await expectMainWorks();
    const losses = await Promise.all(workers);
    expect(new Set(losses).size).toBe(1);
    expect(native().memory()).toEqual(before); // handles of ended workers are gone
  });

  it("may be terminated in the middle of a job, with others waiting", async () => {
    const before = await settledMemory();
    for (let i = 0; i < 3; i++) {
      const worker = begin(`(async () => { ${longJob}
        for (let i = 0; i < 5; i++) long();
        require("node:worker_threads").parentPort.postMessage(1);
      })();`);
      await new Promise((resolve) => worker.once("message", resolve));
      const main = initialized(); // waits behind the worker's jobs
      await new Promise((resolve) => setTimeout(resolve, 100 * i));
      const started = performance.now();
      expect(await worker.terminate()).toBe(1);
      (await main).dispose();
      expect(performance.now() - started).toBeLessThan(10_000); // its jobs would take minutes
    }
    expect(native().memory()).toEqual(before);
    await expectMainWorks();
  });

  it("may end themselves in the middle of a job", async () => {
    const worker = begin(`(async () => { ${longJob}
      long();
      setTimeout(() => process.exit(5), 100);
    })();`);
    expect(await new Promise((resolve) => worker.on("exit", resolve))).toBe(5);
    await expectMainWorks();
  });
});
