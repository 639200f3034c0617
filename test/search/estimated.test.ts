import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CriticalPredictor,
  findCriticalLearningRate,
  type SearchOptions,
  type SearchResult,
} from "../../lib/search/index.js";
import { anyLine, baseLoss, hash, powerLine, type TestLine } from "./lines.js";

const tolerance = 1 / 16;

/** Estimates ηc of lines one after the other, each from what those before it taught. */
async function follow(
  lines: readonly TestLine[],
  options: (i: number) => SearchOptions = () => ({}),
): Promise<SearchResult[]> {
  const predictor = new CriticalPredictor();
  const results: SearchResult[] = [];
  for (const [i, { loss, slope }] of lines.entries()) {
    const facts = { slope, baseLoss };
    const {
      learningRate: initialLearningRate,
      error: initialError,
      ...rest
    } = predictor.predict(facts) ?? {};
    const prediction = initialLearningRate ? { initialLearningRate, initialError, ...rest } : {};
    const search = { method: "estimated", firstCrossing: false, lossNoise: 0 } as const;
    const result = await findCriticalLearningRate(loss, {
      ...facts,
      ...search,
      ...prediction,
      ...options(i),
    });
    predictor.learn(facts, result);
    results.push(result);
  }
  return results;
}

const meanPasses = (results: readonly SearchResult[]) =>
  results.reduce((sum, { forwardPasses }) => sum + forwardPasses, 0) / results.length;

/** A number that is normally distributed. */
const normal = (i: number, seed: number) =>
  Math.sqrt(-2 * Math.log((1 + hash(i, seed)) / 2)) * Math.cos(Math.PI * hash(i, seed + 100));

/** Lines of which the crossing and the shape move at random about means. */
const noisyLines = (count: number, { level = 0.25, shape = 0.2 } = {}) =>
  Array.from({ length: count }, (_, i) => {
    const at = 0.05 * Math.exp(level * normal(i, 1));
    return { at, ...powerLine(at, 3, 0.9 * Math.exp(shape * normal(i, 2))) };
  });

test("a line that repeats takes one pass, and its estimate is right", async () => {
  const results = await follow(Array.from({ length: 200 }, () => powerLine(0.3, 2, 1.6)));
  expect(meanPasses(results.slice(10))).toBeLessThan(1.2);
  for (const { criticalLearningRate, error, status } of results.slice(1)) {
    expect(status).toBe("converged");
    expect(Math.abs(criticalLearningRate / 0.3 - 1)).toBeLessThan(Math.max(error ?? 0, 1e-3));
  }
});

test("an estimate's error covers in 95 % of lines, whatever they scatter by", async () => {
  for (const scatter of [
    { level: 0.1, shape: 0.05 },
    { level: 0.25, shape: 0.2 },
    { level: 0.5, shape: 0.4 },
  ]) {
    const lines = noisyLines(1500, scatter);
    const results = await follow(lines);
    const judged = results.slice(50).flatMap(({ criticalLearningRate, error }, i) => {
      const off = Math.abs(criticalLearningRate / (lines[i + 50] as { at: number }).at - 1);
      return error === null ? [] : [off <= error];
    });
    expect(judged.length).toBeGreaterThan(1000);
    const covered = judged.filter(Boolean).length / judged.length;
    expect(covered).toBeGreaterThan(0.92);
    expect(covered).toBeLessThan(0.985);
    for (const { error } of results) expect(error ?? 0).toBeLessThanOrEqual(tolerance);
  }
});

test("nearly every answer is within the tolerance, for fewer passes than a certificate", async () => {
  const lines = noisyLines(600);
  const [estimated, certified] = [
    await follow(lines),
    await follow(lines, () => ({ method: "interpolated" })),
  ];
  const within = estimated
    .slice(50)
    .filter(
      ({ criticalLearningRate }, i) =>
        Math.abs(Math.log(criticalLearningRate / (lines[i + 50] as { at: number }).at)) < tolerance,
    ).length;
  expect(within / 550).toBeGreaterThan(0.97);
  expect(meanPasses(estimated.slice(50))).toBeLessThan(0.7 * meanPasses(certified.slice(50)));
});

test("lines that become others are noticed, and paid for", async () => {
  const before = Array.from({ length: 150 }, (_, i) => powerLine(0.1 * Math.exp(0.1 * normal(i, 3)), 1, 1));
  const after = Array.from({ length: 60 }, (_, i) => powerLine(0.1 * Math.exp(0.1 * normal(i, 4)), 1, 0.15));
  const results = await follow([...before, ...after]);
  const off = results
    .slice(150)
    .map(({ criticalLearningRate }, i) =>
      Math.abs(Math.log(criticalLearningRate * (1 / (0.1 * Math.exp(0.1 * normal(i, 4)))))),
    );
  const firstRight = off.findIndex((_, i) => off.slice(i, i + 10).every((one) => one < tolerance));
  expect(firstRight).toBeGreaterThanOrEqual(0);
  // Checks are 16 lines apart, at most.
  expect(firstRight).toBeLessThanOrEqual(17);
  expect(meanPasses(results.slice(150, 180))).toBeGreaterThan(meanPasses(results.slice(120, 150)));
});

test("of lines of which nothing was learnt, an estimate lies near what was looked at, and its error is the tolerance", async () => {
  const exponents = [0.1, 0.3, 1, 2, 5];
  for (const exponent of exponents)
    for (let i = 0; i < 40; i++) {
      const { loss, slope } = powerLine(0.3, 2, exponent);
      const initialLearningRate = 0.3 * Math.exp(2 * normal(i, 6));
      const known = { slope, baseLoss, initialLearningRate, method: "estimated" } as const;
      const result = await findCriticalLearningRate(loss, known);
      expect(Math.abs(Math.log(result.criticalLearningRate / 0.3))).toBeLessThan(tolerance);
      expect(result.error ?? tolerance).toBe(tolerance);
    }
});

test("certify goes on to the certificate, and says what the estimate was", async () => {
  const lines = noisyLines(60);
  const results = await follow(lines, (i) => ({ certify: i % 5 === 4 }));
  for (const [i, result] of results.entries()) {
    if (i === 0) continue;
    const { error, estimate, lower, upper, evaluations } = result;
    if (i % 5 !== 4) expect(estimate).toBeNull();
    else {
      expect(error).toBeNull();
      expect(1 - lower / upper).toBeLessThanOrEqual(tolerance);
      if (estimate) expect(estimate.evaluations).toBeLessThanOrEqual(evaluations.length);
    }
  }
  expect(results.filter(({ estimate }) => estimate !== null).length).toBeGreaterThan(10);
});

test("without a slope it is a certificate", async () => {
  const { loss } = powerLine(0.3, 2, 1);
  const result = await findCriticalLearningRate(loss, { method: "estimated", lossNoise: 0 });
  expect(result.error).toBeNull();
  expect(1 - result.lower / result.upper).toBeLessThanOrEqual(tolerance);
});

describe("noise of losses", () => {
  const noisy = (relative: number) => {
    const lossNoise = relative * 2 * 0.3;
    const { loss, slope } = powerLine(0.3, 2, 1);
    return {
      lossNoise,
      slope,
      loss: (eta: number) => loss(eta) + (eta > 0 ? lossNoise * normal(eta, 9) : 0),
    };
  };

  test("is part of the error", async () => {
    const { loss, ...known } = noisy(0.01);
    const options = { ...known, baseLoss, method: "estimated", tolerance: 0.2 } as const;
    const result = await findCriticalLearningRate(loss, {
      ...options,
      initialLearningRate: 0.28,
      initialError: 0.1,
    });
    expect(result.status).toBe("converged");
    expect(result.error).toBeGreaterThan(1.9 * (result.noise as number));
    expect(Math.abs(result.criticalLearningRate / 0.3 - 1)).toBeLessThan(0.1);
  });

  test("that leaves no answer leaves no estimate either", async () => {
    const { loss, ...known } = noisy(2);
    const result = await findCriticalLearningRate(loss, { ...known, baseLoss, method: "estimated" });
    expect(result.status).toBe("unresolved");
    expect(result.error).toBeNull();
  });
});

test("on any function the result is sound", async () => {
  const settings = fc.record({
    tolerance: fc.constantFrom(1 / 16, 1e-3, 0.5),
    initialLearningRate: fc.double({ min: -9, max: 6, noNaN: true }).map((e) => 10 ** e),
    initialError: fc.constantFrom(7, 0.01, 0.5),
    check: fc.constantFrom([], [1], [1, 2, 3]),
    certify: fc.boolean(),
    firstCrossing: fc.constantFrom(true, false, { near: 1e-2 }),
  });
  await fc.assert(
    fc.asyncProperty(anyLine, settings, async (line, options) => {
      let calls = 0;
      const lossAt = (eta: number) => {
        // Endless searches would never come back to the event loop.
        if (++calls > 400) throw new Error("Expected a search that ends");
        return line.loss(eta);
      };
      const known = { baseLoss, slope: line.slope, lossNoise: 0, method: "estimated" } as const;
      const {
        status,
        criticalLearningRate,
        criticalSharpness,
        error,
        lower,
        upper,
        evaluations,
        forwardPasses,
      } = await findCriticalLearningRate(lossAt, { ...known, ...options });
      expect(forwardPasses).toBe(calls);
      expect(criticalSharpness).toBe(2 / criticalLearningRate);
      expect(Number.isNaN(criticalLearningRate)).toBe(status === "unresolved");
      if (error === null) {
        if (status === "converged") expect(1 - lower / upper).toBeLessThanOrEqual(options.tolerance);
        return;
      }
      expect(options.certify).toBe(false);
      expect(status).toBe("converged");
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThanOrEqual(options.tolerance);
      const isAbove = (eta: number) => {
        const loss = line.loss(eta);
        return !(Number.isFinite(loss) && loss <= baseLoss);
      };
      const seen = evaluations.map(({ learningRate }) => learningRate).sort((a, b) => a - b);
      const firstRise = seen.find(isAbove) ?? Infinity;
      expect(criticalLearningRate).toBeLessThanOrEqual(firstRise);
      expect(lower === 0 || !isAbove(lower)).toBe(true);
      expect(upper).toBe(firstRise);
    }),
    { numRuns: 500 },
  );
});
