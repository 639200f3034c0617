import { expect, test } from "vitest";
import { CriticalPredictor, findCriticalLearningRate, type SearchResult } from "../../lib/search/index.js";
import { baseLoss, hash, powerLine } from "./lines.js";

interface Step {
  at: number;
  slope: number;
  exponent: number;
}

/** Measures a series of lines, each from where the predictor says. */
async function follow(steps: readonly Step[], predictor = new CriticalPredictor()): Promise<SearchResult[]> {
  const results: SearchResult[] = [];
  for (const { at, slope, exponent } of steps) {
    const facts = { slope, baseLoss };
    const prediction = predictor.predict(facts);
    const result = await findCriticalLearningRate(powerLine(at, slope, exponent).loss, {
      ...facts,
      firstCrossing: false,
      ...(prediction && {
        initialLearningRate: prediction.learningRate,
        initialError: prediction.error,
        shape: prediction.shape,
      }),
    });
    predictor.learn(facts, result);
    results.push(result);
  }
  return results;
}

function mean(results: readonly SearchResult[]): number {
  return results.reduce((sum, r) => sum + r.evaluations.length, 0) / results.length;
}

test("a drifting line takes two evaluations", async () => {
  const steps = Array.from({ length: 100 }, (_, i) => ({
    at: 0.3 * Math.exp(-0.15 * Math.min(i, 40)),
    slope: 2 * Math.exp(-0.02 * i),
    exponent: 1.7,
  }));
  const results = await follow(steps);
  expect(mean(results.slice(10))).toBeLessThan(2.1);
});

test("noisy lines of an unusual shape take about three once the shape is learnt", async () => {
  const steps = Array.from({ length: 200 }, (_, i) => ({
    at: 0.02 * Math.exp(0.6 * hash(i, 1)),
    slope: 5 * Math.exp(0.5 * hash(i, 2)),
    exponent: 0.55 + 0.05 * hash(i, 3),
  }));
  const results = await follow(steps);
  expect(mean(results.slice(40))).toBeLessThan(3.1);
});

test("an ηc that goes with the slope is predicted from the slope", async () => {
  const steps = Array.from({ length: 120 }, (_, i) => {
    const slope = Math.exp(1.5 * hash(i, 7));
    return { at: 0.1 * slope ** -0.9, slope, exponent: 1 };
  });
  const predictor = new CriticalPredictor();
  await follow(steps, predictor);
  for (const slope of [0.3, 1, 3]) {
    const predicted = predictor.predict({ slope, baseLoss })?.learningRate as number;
    expect(Math.abs(Math.log(predicted / (0.1 * slope ** -0.9)))).toBeLessThan(0.1);
  }
});

test("an outlier does not spoil what was learnt", async () => {
  const usual = Array.from({ length: 60 }, () => ({ at: 0.1, slope: 1, exponent: 1 }));
  const results = await follow([...usual, { at: 1e4, slope: 1, exponent: 4 }, ...usual.slice(0, 20)]);
  expect(results[60]?.status).toBe("converged");
  expect(mean(results.slice(65))).toBeLessThanOrEqual(3);
});

test("state goes through JSON and gives the same bits", async () => {
  const steps = Array.from({ length: 40 }, (_, i) => ({
    at: 0.02 * Math.exp(hash(i, 1)),
    slope: 5 * Math.exp(hash(i, 2)),
    exponent: 1 + 0.3 * hash(i, 3),
  }));
  const one = new CriticalPredictor();
  await follow(steps.slice(0, 20), one);
  const two = new CriticalPredictor();
  const state = JSON.parse(JSON.stringify(one.state()));
  expect(CriticalPredictor.accepts(state)).toBe(true);
  two.restore(state);
  expect(await follow(steps.slice(20), two)).toEqual(await follow(steps.slice(20), one));
  expect(two.state()).toEqual(one.state());
});

test("the state stays sound over thousands of lines", async () => {
  const predictor = new CriticalPredictor();
  let near: number | undefined;
  for (let i = 0; i < 2000; i++) {
    // A training that converges: hardly anything is news, and the loss's last digits are noise.
    const loss = Math.exp(-i / 150) + 1e-13;
    const facts = { slope: loss * 1e-6 ** (i / 3000), baseLoss: Math.fround(loss) };
    const prediction = predictor.predict(facts);
    const rounding = (eta: number) => 1 + 1e-7 * (hash(i, eta) - 0.5);
    const result = await findCriticalLearningRate(
      (eta) => Math.fround(loss - facts.slope * eta * (1 - 2 * eta)) * rounding(eta),
      {
        ...facts,
        firstCrossing: near === undefined ? true : { near },
        ...(prediction && {
          initialLearningRate: prediction.learningRate,
          initialError: prediction.error,
          shape: prediction.shape,
        }),
      },
    );
    if (result.status === "converged") near = result.criticalLearningRate;
    predictor.learn(facts, result);
  }
  const state = predictor.state();
  expect(CriticalPredictor.accepts(JSON.parse(JSON.stringify(state)))).toBe(true);
  for (const { covariance } of [...(state.level?.effects ?? []), ...state.shape.map(({ fit }) => fit)])
    for (const [i, row] of covariance.entries())
      for (const [j, value] of row.entries()) expect(value).toBe(covariance[j]?.[i]);
});

test("damaged states are not accepted", async () => {
  const predictor = new CriticalPredictor();
  expect(CriticalPredictor.accepts(predictor.state())).toBe(true);
  await follow([{ at: 1, slope: 1, exponent: 1 }], predictor);
  const damage: ((s: Record<string, object | null>) => unknown)[] = [
    () => undefined,
    () => ({}),
    ({ level }) => ({ level }),
    ({ level }) => ({ level, shape: [] }),
    ({ shape }) => ({ level: { means: [] }, shape }),
    ({ level, shape }) => ({ level: { ...level, count: "2" }, shape }),
    ({ level, shape }) => ({ level: { ...level, extra: 1 }, shape }),
  ];
  for (const harm of damage) expect(CriticalPredictor.accepts(harm(predictor.state() as never))).toBe(false);
});

test("nothing is predicted before the first measurement, and nothing learnt from one without a crossing", async () => {
  const predictor = new CriticalPredictor();
  expect(predictor.predict({ slope: 1, baseLoss: 1 })).toBeUndefined();
  const unbounded = await findCriticalLearningRate((eta) => -eta, { slope: 1 });
  predictor.learn({ slope: 1, baseLoss: 0 }, unbounded);
  expect(predictor.predict({ slope: 1, baseLoss: 1 })).toBeUndefined();
});
