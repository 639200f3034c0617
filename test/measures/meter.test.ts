import { expect, test } from "vitest";
import { criticalSharpness, type MeasureOptions, SharpnessMeter } from "../../lib/sharpness/index.js";
import { FakeBatch, FakeModel, fakeDirection, parabola } from "./fake-model.js";

const direction = fakeDirection(1);

async function run(meter: SharpnessMeter, batches: readonly FakeBatch[]) {
  const results = [];
  for (const batch of batches) {
    const model = new FakeModel();
    const gradient = await model.gradient(batch);
    results.push(await meter.measure({ model: model.asModel, batch: batch.asBatch, direction, gradient }));
  }
  return results;
}

function drifting(count: number): FakeBatch[] {
  return Array.from({ length: count }, (_, i) =>
    parabola(0.3 * 0.97 ** i, 2 + Math.sin(i), 1 + 0.1 * Math.cos(i)),
  );
}

test("warm measurements are short, and the first looks below its answer", async () => {
  const results = await run(new SharpnessMeter(), drifting(60));
  expect(results[0]?.firstCrossing).toBe("probed");
  for (const result of results.slice(1)) expect(result.firstCrossing).toBe("bracketed");
  for (const [i, result] of results.entries())
    expect(Math.abs(result.criticalLearningRate / (0.3 * 0.97 ** i) - 1)).toBeLessThan(1 / 16);
  const late = results.slice(10).map((r) => r.forwardPasses);
  expect(late.reduce((a, b) => a + b) / late.length).toBeLessThan(2.3);
});

test("estimates take about one pass, are right to within their errors, and need no measured noise", async () => {
  const results = await run(new SharpnessMeter({ method: "estimated" }), drifting(80));
  const at = (i: number) => 0.3 * 0.97 ** i;
  const passes = results.slice(10).map((r) => r.forwardPasses);
  expect(passes.reduce((a, b) => a + b) / passes.length).toBeLessThan(1.3);
  for (const [i, { criticalLearningRate, error, noise, evaluations, forwardPasses }] of results.entries()) {
    expect(Math.abs(criticalLearningRate / at(i) - 1)).toBeLessThan(Math.max(error ?? 0, 1e-3));
    expect(noise).toBeNull();
    expect(forwardPasses).toBe(evaluations.length);
  }
});

test("certifyEvery certifies every n-th, also after a resume", async () => {
  const batches = drifting(25);
  const options = { method: "estimated", certifyEvery: 4 } as const;
  const before = new SharpnessMeter(options);
  const first = await run(before, batches.slice(0, 10));
  const after = new SharpnessMeter(options);
  after.restore(JSON.parse(JSON.stringify(before.state())));
  const results = [...first, ...(await run(after, batches.slice(10)))];
  for (const [i, { error, estimate, lower, upper, criticalLearningRate }] of results.entries()) {
    expect(estimate !== null, `${i}`).toBe(i % 4 === 3);
    if (i === 0 || !estimate) continue;
    expect(error).toBeNull();
    expect(1 - lower / upper).toBeLessThanOrEqual(1 / 16);
    expect(Math.abs(estimate.learningRate / criticalLearningRate - 1)).toBeLessThan(1 / 16);
  }
});

test("a single estimate that is to be certified is, and says what it was", async () => {
  const model = new FakeModel();
  const batch = parabola(0.3);
  const gradient = await model.gradient(batch);
  const line = {
    model: model.asModel,
    batch: batch.asBatch,
    direction,
    gradient,
    method: "estimated",
  } as const;
  const alone = await criticalSharpness(line);
  expect(alone.error).toBe(1 / 16);
  expect(alone.estimate).toBeNull();
  const certified = await criticalSharpness({ ...line, certifyEvery: 1 });
  expect(certified.error).toBeNull();
  expect(certified.estimate?.learningRate).toBe(alone.criticalLearningRate);
  expect(1 - certified.lower / certified.upper).toBeLessThanOrEqual(1 / 16);
});

test("the paper's method starts at the last ηc and takes more", async () => {
  const results = await run(new SharpnessMeter({ method: "bisection" }), drifting(30));
  for (const [i, result] of results.entries()) {
    const last = results[i - 1];
    if (last) expect(result.evaluations[0]?.learningRate).toBe(last.criticalLearningRate);
    if (last) expect(result.forwardPasses).toBeGreaterThanOrEqual(5);
  }
});

test("an answer more than 4× away from the last is looked below", async () => {
  for (const method of ["interpolated", "bisection"] as const) {
    const near = [parabola(0.1), parabola(0.12), parabola(0.3)];
    const far = [parabola(2), parabola(0.02)];
    const results = await run(new SharpnessMeter({ method }), [...near, ...far]);
    expect(results.map((r) => r.firstCrossing)).toEqual([
      "probed",
      "bracketed",
      "bracketed",
      "probed",
      "probed",
    ]);
  }
});

test("resuming from a state through JSON gives the same bits", async () => {
  for (const options of [{}, { method: "bisection" }, { method: "estimated" }] as MeasureOptions[]) {
    const batches = drifting(40);
    const whole = await run(new SharpnessMeter(options), batches);
    const before = new SharpnessMeter(options);
    await run(before, batches.slice(0, 17));
    const after = new SharpnessMeter(options);
    after.restore(JSON.parse(JSON.stringify(before.state())));
    expect(await run(after, batches.slice(17))).toEqual(whole.slice(17));
  }
});

test("a measurement that fails, or finds no crossing, leaves the meter as it was", async () => {
  const meter = new SharpnessMeter();
  await run(meter, drifting(5));
  const state = meter.state();
  const model = new FakeModel();
  const batch = parabola(0.2);
  const line = { model: model.asModel, batch: batch.asBatch, direction };
  await expect(meter.measure({ ...line, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "ABORT_ERR",
  });
  model.onPass = () => {
    throw new Error("out of memory");
  };
  await expect(meter.measure({ ...line, slope: 2 })).rejects.toThrow("out of memory");
  await expect(meter.measure({ ...line, slope: Number.NaN })).rejects.toMatchObject({
    code: "ERR_OUT_OF_RANGE",
  });
  await run(meter, [new FakeBatch((eta) => -eta, 1), new FakeBatch((eta) => eta, -1)]);
  expect(meter.state()).toEqual(state);
});

test("a state of before estimates had errors is gone on from", async () => {
  const batches = drifting(20);
  const before = new SharpnessMeter();
  await run(before, batches.slice(0, 10));
  const { version: _, count: __, predictor, ...rest } = JSON.parse(JSON.stringify(before.state()));
  const { scales: ___, shape, level } = predictor;
  const older = shape.map(({ growth, fit, residual, reach }: Record<string, unknown>) => ({
    ...{ growth, fit, residual, reach },
  }));
  const after = new SharpnessMeter();
  after.restore({ ...rest, version: 2, predictor: { level, shape: older } } as never);
  expect(after.state().predictor.level).toEqual(level);
  const results = await run(after, batches.slice(10));
  for (const { forwardPasses } of results) expect(forwardPasses).toBeLessThan(5);
});

test("measurements asked for at once are made one after the other", async () => {
  const batches = drifting(8);
  const one = new SharpnessMeter();
  const sequential = await run(one, batches);
  const two = new SharpnessMeter();
  const model = new FakeModel();
  const gradients = await Promise.all(batches.map((b) => model.gradient(b)));
  const together = await Promise.all(
    batches.map((batch, i) =>
      two.measure({ model: model.asModel, batch: batch.asBatch, direction, gradient: gradients[i] }),
    ),
  );
  expect(together).toEqual(sequential);
});

test("without a gradient the base loss is one pass, counted once", async () => {
  const meter = new SharpnessMeter();
  for (const known of [{ slope: 2 }, { slope: 2 }, {}, {}]) {
    const model = new FakeModel();
    const result = await meter.measure({
      model: model.asModel,
      batch: parabola(0.2).asBatch,
      direction,
      ...known,
    });
    expect(result.forwardPasses).toBe(model.passes.length);
    expect(model.passes.filter((p) => p.learningRate === 0)).toHaveLength(1);
  }
});

test.each<[string, unknown]>([
  ["nothing", undefined],
  ["null", null],
  ["a number", 3],
  ["another version", { ...new SharpnessMeter().state(), version: 4 }],
  ["a bad ηc", { ...new SharpnessMeter().state(), lastCriticalLearningRate: "0.1" }],
  ["no predictor", { version: 1, lastCriticalLearningRate: null }],
])("a state that is %s is refused", (_, state) => {
  expect(() => new SharpnessMeter().restore(state as never)).toThrow(
    expect.objectContaining({ code: "ERR_METER_STATE" }),
  );
});

test.each<[unknown, string]>([
  [null, "ERR_INVALID_ARG_TYPE"],
  [{ tolerance: 2 }, "ERR_OUT_OF_RANGE"],
  [{ method: 3 }, "ERR_INVALID_ARG_TYPE"],
  [{ slope: 3 }, "ERR_OUT_OF_RANGE"],
])("meter options %o", (options, code) => {
  expect(() => new SharpnessMeter(options as never)).toThrow(expect.objectContaining({ code }));
});
