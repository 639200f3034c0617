import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { nativeErrors } from "../../lib/torch/errors.js";
import type { NativeBatch, NativeModel } from "../../lib/torch/index.js";
import { native } from "../../lib/torch/load.js";
import { initialized, longJob, runProcess, smallBatch, smallModel } from "./support.js";

const rejection = async (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable("the promise resolved"),
    (error: Error & { code: string }) => error,
  );

describe("jobs", () => {
  it("run in the order of their calls", async () => {
    const model = smallModel();
    const done: number[] = [];
    const versions = [1, 2, 3, 4].map(async (seed) => {
      await model.initialize("pytorch", seed);
      done.push(seed);
    });
    const read = model.read(0, 0, 16);
    await Promise.all(versions);
    expect(done).toEqual([1, 2, 3, 4]);
    expect(model.version).toBe(4);
    expect(await model.read(0, 0, 16)).toEqual(await read);
  });

  it("that are short, and waited for, leave the event loop its turns", async () => {
    const model = await initialized();
    const batch = smallBatch();
    const { threads } = await native().info();
    await native().setThreads(1); // with all of the CPUs at work nobody waits
    let calls = 0;
    let longest = 0; // of the rows of calls without a turn
    let next = setImmediate(function turn() {
      calls = 0;
      next = setImmediate(turn);
    });
    for (let i = 0; i < 2000; i++) {
      await model.loss(batch, null, { microBatch: 1 });
      longest = Math.max(longest, ++calls);
    }
    clearImmediate(next);
    await native().setThreads(threads);
    expect(longest).toBeLessThan(500); // 51, where no thread is held up
  });

  it("reject with the stack of the caller, whether the arguments or the work failed", async () => {
    const model = smallModel();
    const batch = smallBatch();
    async function whoeverCalled() {
      return await model.loss(batch, null, { microBatch: 0 });
    }
    const late = await rejection(whoeverCalled());
    expect(late).toMatchObject({ name: "Error", code: "ERR_NO_WEIGHTS" });
    expect(late.stack).toMatch(/^Error: Expected a model with weights .*\n +at whoeverCalled/);
    batch.dispose();
    const early = await rejection(whoeverCalled());
    expect(early).toMatchObject({ code: "ERR_DISPOSED" });
    expect(early.stack).toContain("whoeverCalled");
  });

  it("keep their errors whatever is done to Error", async () => {
    const model = smallModel();
    const batch = smallBatch();
    const { stackTraceLimit, prepareStackTrace } = Error;
    try {
      for (const prepare of [() => undefined, () => 42, () => ({}), prepareStackTrace]) {
        Error.prepareStackTrace = prepare as typeof prepareStackTrace;
        Error.stackTraceLimit = prepare === prepareStackTrace ? 0 : stackTraceLimit;
        const error = await rejection(model.loss(batch, null, { microBatch: 0 }));
        expect(error.code).toBe("ERR_NO_WEIGHTS");
      }
    } finally {
      Object.assign(Error, { stackTraceLimit, prepareStackTrace });
    }
  });

  it("reject when a result cannot be made in JavaScript", async () => {
    const ended = await runProcess(`${longJob}
      const small = n.createModel({ kind: "mlp", layerSizes: [1, 1], activation: "relu", loss: "mse" }, "float64");
      await small.initialize("zeros", 0);
      const one = n.createExampleBatch(new Float64Array(1), [1, 1], new Float64Array(1), [1, 1]);
      Object.defineProperty(Object.prototype, "loss", { set() { throw new Error("from the setter"); }, configurable: true });
      await small.loss(one, null, { microBatch: 0 }).then(() => console.log("resolved"), (e) => console.log(e.message));
      delete Object.prototype.loss;
      console.log((await small.loss(one, null, { microBatch: 0 })).loss);
    `);
    expect(ended).toMatchObject({ code: 0, stderr: "", stdout: "from the setter\n0\n" });
  });

  // With unlimited overcommit the system would grant the memory and end the process when it is used.
  const unlimited =
    process.platform === "linux" && readFileSync("/proc/sys/vm/overcommit_memory", "utf8")[0] === "1";
  it.skipIf(unlimited)(
    "say ERR_OUT_OF_MEMORY when there is not enough (needs limited overcommit)",
    async () => {
      const huge = native().createModel(
        { kind: "mlp", layerSizes: [2 ** 20, 2 ** 20 - 2], activation: "relu", loss: "mse" },
        "float64",
      );
      const error = await rejection(huge.initialize("zeros", 0));
      expect(error.code).toBe("ERR_OUT_OF_MEMORY");
      expect(huge.version).toBe(0);
      huge.dispose();
    },
  );

  it("refuse handles of another load of the addon", async () => {
    const ended = await runProcess(`${longJob}
      import { createRequire } from "node:module";
      const file = createRequire(${JSON.stringify(import.meta.url)})("node-gyp-build").resolve(process.cwd());
      const second = { exports: {} };
      process.dlopen(second, file);
      const foreign = second.exports.createModel({ kind: "mlp", layerSizes: [1, 1], activation: "relu", loss: "mse" }, "float32");
      await foreign.initialize("zeros", 0);
      await n.difference(model, foreign).catch((e) => console.log(e.code));
      console.log((await second.exports.info()).libtorchVersion === (await n.info()).libtorchVersion);
    `);
    expect(ended).toMatchObject({ code: 0, stderr: "", stdout: "ERR_INVALID_ARG_TYPE\ntrue\n" });
  });

  describe("that take long", () => {
    const rows = 100_000;
    let model: NativeModel;
    let batch: NativeBatch;
    const start = async () => {
      model = native().createModel(
        {
          kind: "mlp",
          layerSizes: [16, 2048, 2048, 2048, 2048, 10],
          activation: "relu",
          loss: "cross_entropy",
        },
        "float32",
      );
      await model.initialize("zeros", 0);
      batch = native().createExampleBatch(new Float32Array(rows * 16), [rows, 16], new BigInt64Array(rows), [
        rows,
      ]);
    };
    const end = () => {
      model.dispose();
      batch.dispose();
    };

    it("leave the event loop free and stop when cancelled", async () => {
      await start();
      const cancel = native().createCancelToken();
      const delay = monitorEventLoopDelay({ resolution: 5 });
      const job = rejection(model.loss(batch, null, { microBatch: 16, cancel }));
      delay.enable();
      await pause(800);
      delay.disable();
      const cancelled = performance.now();
      cancel.cancel();
      expect((await job).code).toBe("CANCELLED");
      expect(performance.now() - cancelled).toBeLessThan(2000);
      expect(delay.percentile(90) / 1e6).toBeLessThan(50);
      end();
    });

    it("stop before they start when cancelled while they wait", async () => {
      await start();
      const first = native().createCancelToken();
      const second = native().createCancelToken();
      const running = rejection(model.loss(batch, null, { microBatch: 16, cancel: first }));
      const waiting = rejection(model.gradient(batch, { microBatch: 16, cancel: second }));
      const after = model.read(0, 0, 4);
      second.cancel();
      await pause(100);
      first.cancel();
      expect((await running).code).toBe("CANCELLED");
      expect((await waiting).code).toBe("CANCELLED");
      expect((await after).byteLength).toBe(4);
      end();
    });

    it("put the weights back when cancelled under an in-place perturbation", async () => {
      await start();
      const before = await model.read(4, 0, 1 << 20);
      const { gradient } = await model.gradient(
        native().createExampleBatch(new Float32Array(16).fill(1), [1, 16], new BigInt64Array(1), [1]),
        { microBatch: 0 },
      );
      const cancel = native().createCancelToken();
      const job = rejection(
        model.loss(
          batch,
          { direction: gradient, learningRate: 3, mode: "in-place" },
          { microBatch: 16, cancel },
        ),
      );
      await pause(200);
      cancel.cancel();
      expect((await job).code).toBe("CANCELLED");
      expect(Buffer.from(await model.read(4, 0, 1 << 20)).equals(Buffer.from(before))).toBe(true);
      gradient.dispose();
      end();
    });
  });

  it("have every code in the table", () => {
    const sources = ["js_error", "handle", "job", "module"].map((name) => {
      const extension = name === "handle" || name === "job" ? "hpp" : "cpp";
      return readFileSync(new URL(`../../native/binding/${name}.${extension}`, import.meta.url), "utf8");
    });
    const codes = sources.flatMap((text) =>
      [...text.matchAll(/"(ERR_[A-Z_]+|CANCELLED)"/g)].map((m) => m[1]),
    );
    expect(codes.length).toBeGreaterThan(8);
    for (const code of codes) expect(Object.keys(nativeErrors)).toContain(code);
  });
});
