import { expect, test } from "vitest";
import { type MeasureOptions, SharpnessMeter } from "../../lib/sharpness/index.js";
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
  for (const options of [{}, { method: "bisection" }] as MeasureOptions[]) {
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
  ["another version", { ...new SharpnessMeter().state(), version: 3 }],
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
