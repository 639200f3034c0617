import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AdamW,
  Batch,
  createModel,
  Direction,
  loadModel,
  type Model,
  type Optimizer,
  Sgd,
} from "../../lib/index.js";
import { runProcess } from "../native/support.js";
import { moduleOf } from "../surface/package.js";

// A weight of three stretches (of 4 M numbers), after each of which a call looks whether it is to stop.
const config = {
  model_type: "mlp",
  layer_sizes: [1024, 12 * 1024, 1],
  activation: "relu",
  loss: "mse",
} as const;

let folder: string;
let model: Model;
let other: Model;
let digest: string;
let gradient: Direction;
let positive: Direction;
let optimizers: Optimizer[];
/** A job of about a minute, on the thread on which what follows it waits. */
let blocker: (signal: AbortSignal) => Promise<unknown>;

const within = (name: string) => path.join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "critical-sharpness-stopping-"));
  [model, other] = [await createModel(config), await createModel(config, { seed: 1 })];
  digest = await model.digest();
  gradient = await Direction.between(model, other);
  positive = await gradient.multiply(gradient);
  optimizers = [
    new Sgd(model, { learningRate: 0.1, momentum: 0.9 }),
    new AdamW(model, { learningRate: 0.1, weightDecay: 0 }),
  ];
  for (const optimizer of optimizers) await optimizer.accumulate(gradient);
  await model.save(within("model"));
  await gradient.save(within("direction.safetensors"));
  await (optimizers[1] as Optimizer).save(within("state.safetensors"));
  const rows = 20_000;
  const batch = Batch.examples({
    inputs: new Float32Array(1024 * rows),
    targets: new Float32Array(rows),
    shape: [rows],
  });
  blocker = (signal) => model.loss(batch, { microBatch: 1, signal });
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Options = { signal: AbortSignal };
/** Every call that takes longer than a moment. Their results, if there are any, are disposed of. */
const calls: Record<string, (options: Options) => Promise<unknown>> = {
  createModel: (options) => createModel(config, options),
  "createModel in bfloat16": (options) => createModel(config, { ...options, parameterDtype: "bfloat16" }),
  loadModel: (options) => loadModel(within("model"), options),
  "loadModel with conversion": (options) => loadModel(within("model"), { ...options, dtype: "float64" }),
  "model.digest": (options) => model.digest(options),
  "model.save": (options) => model.save(within("new"), options),
  "Direction.load": (options) => Direction.load(within("direction.safetensors"), model, options),
  "Direction.between": (options) => Direction.between(model, other, options),
  "Direction.random": (options) => Direction.random(model, { ...options, seed: 1 }),
  "Direction.combine": (options) => Direction.combine([gradient, positive], [1, 2], options),
  "direction.store": (options) => gradient.store(options),
  "direction.dot": (options) => gradient.dot(positive, options),
  "direction.norm": (options) => gradient.norm(options),
  "direction.nonFiniteParameter": (options) => gradient.nonFiniteParameter(options),
  "direction.scale": (options) => gradient.scale(2, options),
  "direction.multiply": (options) => gradient.multiply(positive, options),
  "direction.inverseSquareRoot": (options) => positive.inverseSquareRoot(options),
  "direction.save": (options) => gradient.save(within("new.safetensors"), options),
  "sgd.accumulate": (options) => (optimizers[0] as Optimizer).accumulate(gradient, options),
  "adamw.accumulate": (options) => (optimizers[1] as Optimizer).accumulate(gradient, options),
  "a first accumulate": (options) => new AdamW(other, { learningRate: 1 }).accumulate(gradient, options),
  "sgd.direction": (options) => (optimizers[0] as Optimizer).direction(options),
  "adamw.direction": (options) => (optimizers[1] as Optimizer).direction(options),
  "adamw.preconditioner": (options) => (optimizers[1] as Optimizer).preconditioner(options),
  "sgd.step": (options) => (optimizers[0] as Optimizer).step(options),
  "adamw.step": (options) => (optimizers[1] as Optimizer).step(options),
  "optimizer.save": (options) => (optimizers[1] as Optimizer).save(within("new.safetensors"), options),
  "optimizer.load": (options) => (optimizers[1] as Optimizer).load(within("state.safetensors"), options),
};
const names = Object.keys(calls);
const run = (name: string, options: Options) =>
  (calls[name] as (options: Options) => Promise<unknown>)({ signal: options.signal }).then((result) => {
    (result as { dispose?(): void } | undefined)?.dispose?.();
    return result;
  });
const aborted = { name: "AbortError", code: "ABORT_ERR", cause: "enough" };

/** Weights, states and files are what they were. */
async function expectUntouched(): Promise<void> {
  expect(await model.digest()).toBe(digest);
  expect(optimizers.map(({ steps }) => steps)).toEqual([1, 1]);
  for (const optimizer of optimizers) {
    const direction = await optimizer.direction();
    expect(Number.isFinite(await direction.norm())).toBe(true);
    direction.dispose();
  }
  expect(readdirSync(folder).filter((name) => name.startsWith("new.") || name.endsWith(".tmp"))).toEqual([]);
  if (readdirSync(folder).includes("new")) expect(readdirSync(within("new"))).toEqual([]);
}

describe("a call with a signal", () => {
  test.each(names)("%s: rejects at once where it was aborted before", async (name) => {
    await expect(run(name, { signal: AbortSignal.abort("enough") })).rejects.toMatchObject(aborted);
  });

  test.each(names)("%s: rejects where it is aborted while it waits its turn", async (name) => {
    const long = new AbortController();
    const job = blocker(long.signal).catch(() => undefined);
    const controller = new AbortController();
    const call = run(name, controller).catch((error: unknown) => error);
    await turn();
    controller.abort("enough");
    long.abort();
    expect(await call).toMatchObject(aborted);
    await job;
  });

  test("leaves weights, states and files as they were", expectUntouched);

  test.each(names)("%s: says what a signal must be", async (name) => {
    const options = { signal: 3 } as unknown as Options;
    await expect(run(name, options)).rejects.toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
  });

  // What changes a state or weights is not in between: it runs to its end.
  const stoppable = names.filter((name) => !/accumulate|step$/.test(name));
  test.each(stoppable)("%s: stops in the middle, or is done", async (name) => {
    for (const turns of [0, 1, 2, 4]) {
      const controller = new AbortController();
      const call = run(name, controller).then(
        () => "done",
        (error: unknown) => error,
      );
      for (let i = 0; i < turns; i++) await turn();
      controller.abort("enough");
      const ended = await call;
      if (ended !== "done") expect(ended).toMatchObject(aborted);
      rmSync(within("new"), { recursive: true, force: true });
      rmSync(within("new.safetensors"), { force: true });
    }
  });

  test("a digest lets timers and signals through after every piece", async () => {
    let [turns, over] = [0, false];
    const count = () => {
      turns++;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    await model.digest();
    over = true;
    expect(turns).toBeGreaterThanOrEqual(48);
  });

  test("stops a digest, a save and a creation in the middle", async () => {
    for (const name of ["model.digest", "model.save", "direction.save", "optimizer.save", "createModel"]) {
      const controller = new AbortController();
      const call = expect(run(name, controller)).rejects.toMatchObject(aborted);
      await turn();
      await turn();
      controller.abort("enough");
      await call;
    }
    await expectUntouched();
  });

  test("keeps the file that was there when a save is stopped", async () => {
    const file = within("direction.safetensors");
    const before = readFileSync(file);
    const controller = new AbortController();
    const call = expect(positive.save(file, controller)).rejects.toMatchObject(aborted);
    await turn();
    controller.abort("enough");
    await call;
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test("a step and an accumulation are whole, whenever the signal comes", async () => {
    const [optimizer] = optimizers as [Optimizer];
    const expected = await loadModel(within("model"));
    const twin = new Sgd(expected, { learningRate: 0.1, momentum: 0.9 });
    await twin.accumulate(gradient);
    for (let i = 0; i < 8; i++) {
      const controller = new AbortController();
      const calls = [optimizer.accumulate(gradient, controller), optimizer.step(controller)];
      await new Promise((resolve) => setTimeout(resolve, i));
      controller.abort("enough");
      const [accumulated, stepped] = await Promise.allSettled(calls);
      for (const ended of [accumulated, stepped])
        if (ended?.status === "rejected") expect(ended.reason).toMatchObject(aborted);
      if (accumulated?.status === "fulfilled") await twin.accumulate(gradient);
      if (stepped?.status === "fulfilled") await twin.step();
      expect(optimizer.steps).toBe(twin.steps);
      expect(await model.digest()).toBe(await expected.digest());
    }
  });
});

describe("process.exit", () => {
  // Of 67 M weights; alone, each of these takes a second or more.
  const prelude = `
    const { createModel, loadModel, Direction, AdamW } = await import(${JSON.stringify(moduleOf("index"))});
    const config = { model_type: "mlp", layer_sizes: [8192, 8192, 1], activation: "relu", loss: "mse" };
    const folder = ${JSON.stringify(path.join(os.tmpdir(), `critical-sharpness-exit-${process.pid}`))};
    const exit = () => setTimeout(() => {
      console.log(Date.now());
      process.exit(7);
    }, 100);`;
  const during: Record<string, string> = {
    createModel: `exit(); await createModel(config);`,
    "model.save": `const model = await createModel(config, { initialization: "zeros" }); exit(); await model.save(folder);`,
    "model.digest": `const model = await createModel(config, { initialization: "zeros" }); exit(); await model.digest();`,
    "optimizer.accumulate": `const model = await createModel(config, { initialization: "zeros" });
      const optimizer = new AdamW(model, { learningRate: 1 });
      const gradient = await Direction.between(model, model);
      exit(); for (;;) await optimizer.accumulate(gradient);`,
  };
  test.each(Object.keys(during))("in the middle of %s ends soon, and leaves no file", async (name) => {
    const { code, stdout, stderr } = await runProcess(`${prelude} ${during[name]}`);
    const ended = Date.now();
    expect({ code, stderr }).toEqual({ code: 7, stderr: "" });
    expect(ended - Number(stdout)).toBeLessThan(5000);
    const left = path.join(os.tmpdir(), `critical-sharpness-exit-${process.pid}`);
    if (name === "model.save") expect(readdirSync(left)).toEqual([]);
    rmSync(left, { recursive: true, force: true });
  });
});
